#include <algorithm>

#include "../kernels/gemm.h"
#include "../kernels/linear.h"
#include "parity.h"

namespace winnow::parity {
namespace {

/// One product of [rows, 2 pairs] by an unpacked panel, its fp64 reference, and the scale sum |w x|.
struct TileCase {
  TileCase(int64_t rows, int32_t groups, int64_t pairs)
      : rows(rows), groups(groups), pairs(pairs), a(static_cast<size_t>(rows * 2 * pairs)), b(static_cast<size_t>(pairs * groups * kGroup * 2)) {
    Fill(a, 91, static_cast<uint64_t>(rows));
    Fill(b, 92, static_cast<uint64_t>(groups));
    int64_t width = groups * kGroup;
    std::vector<double> x, w(static_cast<size_t>(width * 2 * pairs));
    for (size_t i = 0; i < a.size(); i++) x.push_back(FromBf16(a[i]));
    for (int64_t k = 0; k < 2 * pairs; k++)
      for (int64_t n = 0; n < width; n++)
        w[static_cast<size_t>(n * 2 * pairs + k)] = FromBf16(b[static_cast<size_t>((k / 2 * width + n) * 2 + k % 2)]);
    expected.assign(static_cast<size_t>(rows * width), 0.0);
    magnitude = expected;
    LinearReference(x.data(), rows, w.data(), width, 2 * pairs, nullptr, expected.data());
    for (double& v : x) v = std::fabs(v);
    for (double& v : w) v = std::fabs(v);
    LinearReference(x.data(), rows, w.data(), width, 2 * pairs, nullptr, magnitude.data());
  }

  Epilogue To(Guarded<float>& out) const { return {out.data(), DType::kF32, groups * kGroup, groups * kGroup, nullptr, false}; }

  double WorstError(const Guarded<float>& out) const {
    double worst = 0;
    for (size_t i = 0; i < expected.size(); i++) {
      double error = std::fabs(out[i] - expected[i]) / magnitude[i];
      if (!(error <= worst)) worst = error;
    }
    return worst;
  }

  std::string Name() const {
    return "T=" + std::to_string(rows) + " groups=" + std::to_string(groups) + " K=" + std::to_string(2 * pairs);
  }

  int64_t rows;
  int32_t groups;
  int64_t pairs;
  Guarded<Bf16> a, b;
  std::vector<double> expected, magnitude;
};

void TilesParity(Report& report) {
  const EmulatedTileKernels& emulated = Kernels<EmulatedTileKernels>(Isa::kScalar);
  const auto& isas = AvailableIsas();
  bool has_amx = AmxMultiply() != nullptr && std::find(isas.begin(), isas.end(), Isa::kAmx) != isas.end();
  for (int64_t rows : {1, 2, 7, 15, 16, 17, 32, 33, 37}) {
    for (int32_t groups : {1, 2, 3, 4}) {
      for (int64_t pairs : {16, 48}) {
        TileCase c(rows, groups, pairs);
        Guarded<float> out(c.expected.size()), alone(c.expected.size());
        emulated.multiply(c.a.data(), 2 * pairs, rows, c.b.data(), groups, pairs, c.To(out));
        report.Check({"tiles", Isa::kScalar, c.Name() + " emulated", 91}, c.WorstError(out), 1e-6, out.intact());
        for (int64_t t = 0; t < rows; t++) {
          Epilogue one = c.To(alone);
          one.out = alone.data() + t * one.stride;
          emulated.multiply(c.a.data() + t * 2 * pairs, 2 * pairs, 1, c.b.data(), groups, pairs, one);
        }
        report.Check({"tiles", Isa::kScalar, c.Name() + " rows alone = together", 91}, DifferentBytes(out.data(), alone.data(), out.size() * 4), 0);
        if (!has_amx) continue;
        Guarded<float> real(c.expected.size());
        AmxMultiply()(c.a.data(), 2 * pairs, rows, c.b.data(), groups, pairs, c.To(real));
        report.Check({"tiles", Isa::kAmx, c.Name() + " = emulated", 91}, DifferentBytes(out.data(), real.data(), out.size() * 4), 0, real.intact());
      }
    }
  }
  if (!has_amx) report.Skip({"tiles", Isa::kAmx, "", 91}, "this machine or build has no AMX");
}

WINNOW_PARITY(tiles, TilesParity);

}  // namespace
}  // namespace winnow::parity
