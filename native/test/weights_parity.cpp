#include "../kernels/weights.h"

#include "../kernels/embed.h"
#include "../kernels/gemm.h"
#include "matrix_case.h"

namespace winnow::parity {
namespace {

WeightArena arena;  // of all cases

std::string Name(WeightType type, int64_t rows, int64_t cols) {
  return std::string(NameOf(type)) + " N=" + std::to_string(rows) + " K=" + std::to_string(cols);
}

/// The largest difference between what the packed matrix holds and the naive decoder, in units of the largest value.
double WorstWeight(const PackedMatrix& m, const std::vector<double>& expected) {
  double worst = 0, largest = 0;
  std::vector<float> row(static_cast<size_t>(m.cols));
  for (int64_t r = 0; r < m.rows; r++) {
    UnpackRow(m, r, row.data());
    for (int64_t c = 0; c < m.cols; c++) {
      double e = expected[static_cast<size_t>(r * m.cols + c)];
      worst = std::max(worst, std::fabs(WeightAt(m, r, c) - e));
      if (row[static_cast<size_t>(c)] != WeightAt(m, r, c)) return INFINITY;
      largest = std::max(largest, std::fabs(e));
    }
  }
  return worst / largest;
}

void PackParity(Report& report) {
  uint64_t seed = 7;
  for (WeightType type : kWeightTypes) {
    for (int64_t rows : {1, 3, 15, 16, 17, 64, 65, 255}) {
      for (int64_t cols : {1, 3, 17, 32, 96, 256, 512}) {
        if (cols % BlockValues(type) != 0) continue;
        MatrixCase matrix(type, rows, cols, ++seed);
        PackedMatrix packed;
        Status status = PackMatrix({matrix.source}, 0, arena, &packed);
        // Exact but for the one rounding of fma(q, d, m).
        report.Check({"pack_weight", Isa::kScalar, Name(type, rows, cols), seed},
                     status.ok() ? WorstWeight(packed, matrix.Values()) : INFINITY, 1.2e-7);
      }
    }
    int64_t cols = IsSuperBlockType(type) ? 256 : 64;
    MatrixCase q(type, 128, cols, ++seed, 2), k(WeightType::kF32, 32, cols, ++seed, 1), v(type, 20, cols, ++seed);
    PackedMatrix fused;
    Status status = PackMatrix({q.source, k.source, v.source}, 0, arena, &fused);
    std::vector<double> expected = q.Values(), rest = k.Values();
    expected.insert(expected.end(), rest.begin(), rest.end());
    rest = v.Values();
    expected.insert(expected.end(), rest.begin(), rest.end());
    report.Check({"pack_weight", Isa::kScalar, std::string(NameOf(type)) + " with F32, RoPE pairs re-ordered", seed},
                 status.ok() ? WorstWeight(fused, expected) : INFINITY, 1.2e-7);

    MatrixCase gate(type, 96, cols, ++seed), up(type, 96, cols, ++seed);
    PackedMatrix woven;
    status = PackMatrix({gate.source, up.source}, 32, arena, &woven);
    std::vector<double> a = gate.Values(), b = up.Values(), both;
    for (size_t group = 0; group < 3; group++)
      for (const auto& part : {a, b}) both.insert(both.end(), part.begin() + static_cast<int64_t>(group) * 32 * cols, part.begin() + static_cast<int64_t>(group + 1) * 32 * cols);
    report.Check({"pack_weight", Isa::kScalar, std::string(NameOf(type)) + " woven by 32", seed},
                 status.ok() ? WorstWeight(woven, both) : INFINITY, 1.2e-7);
  }
}

void VectorParity(Report& report) {
  for (WeightType type : kWeightTypes) {
    for (int64_t length : {1, 17, 32, 512, 576}) {
      if (length % BlockValues(type) != 0) continue;
      MatrixCase vector(type, 1, length, 9);
      Guarded<float> out(static_cast<size_t>(length));
      Status status = UnpackVector(vector.source, out.data());
      report.Check({"pack_vector", Isa::kScalar, Name(type, 1, length), 9},
                   status.ok() ? RelativeRms(out.data(), vector.Values().data(), out.size()) : INFINITY, 1.2e-7, out.intact());
    }
  }
}

/// Sources that claim more than they have, or shapes that make no sense, are refused before a byte is read.
void RefusalParity(Report& report) {
  auto refused = [&](const char* what, WeightSource source, int64_t weave, Code code) {
    PackedMatrix packed;
    Status status = PackMatrix({source}, weave, arena, &packed);
    report.Check({"pack_refusal", Isa::kScalar, what, 3}, status.code() == code ? 0 : 1, 0);
  };
  MatrixCase whole(WeightType::kQ4_1, 4, 64, 3);
  WeightSource s = whole.source;
  s.num_bytes -= 1;
  refused("one byte short", s, 0, Code::kModelFormat);
  s = whole.source;
  s.rows = int64_t{1} << 60;
  refused("rows that overflow", s, 0, Code::kModelFormat);
  s = whole.source;
  s.rows = 0;
  refused("no rows", s, 0, Code::kModelFormat);
  s = whole.source;
  s.cols = 63;
  refused("columns that split a block", s, 0, Code::kModelFormat);
  MatrixCase super(WeightType::kQ4_K, 4, 256, 3);
  s = super.source;
  s.cols = 64;
  refused("columns that split a super-block", s, 0, Code::kModelFormat);
  s = super.source;
  s.num_bytes -= 1;
  refused("one byte short of a super-block", s, 0, Code::kModelFormat);
  s = whole.source;
  s.interleaved_heads = 3;
  refused("heads that do not divide the rows", s, 0, Code::kModelFormat);
  refused("one source woven", whole.source, 2, Code::kShape);
}

void UnpackParity(Report& report) {
  for (Isa isa : AvailableIsas()) {
    const GemmKernels& kernels = Kernels<GemmKernels>(isa);
    for (WeightType type : kWeightTypes) {
      for (int64_t rows : {3, 16, 40, 64}) {
        int64_t cols = IsSuperBlockType(type) ? 512 : IsBlockType(type) ? 160 : 163;
        MatrixCase matrix(type, rows, cols, 11);
        PackedMatrix packed;
        if (!PackMatrix({matrix.source}, 0, arena, &packed).ok()) continue;
        const Panel& panel = packed.panels[0];
        int64_t width = panel.groups * kGroup, begin = 32;
        Guarded<float> out(static_cast<size_t>((cols - begin) * width));
        kernels.unpack_f32(panel, begin, cols, out.data());
        double different = 0;
        for (int64_t k = begin; k < cols; k++)
          for (int64_t n = 0; n < width; n++) {
            float expected = n < rows ? WeightAt(packed, n, k) : 0.f;
            different += DifferentBytes(&out[static_cast<size_t>((k - begin) * width + n)], &expected, 4);
          }
        report.Check({"unpack_f32", isa, Name(type, rows, cols), 11}, different, 0, out.intact());

        if (kernels.unpack_bf16 == nullptr) continue;
        int64_t pairs = (cols - begin + 1) / 2;
        Guarded<Bf16> halves(static_cast<size_t>(pairs * width * 2));
        kernels.unpack_bf16(panel, begin, cols, halves.data());
        different = 0;
        for (int64_t k = begin; k < begin + 2 * pairs; k++)
          for (int64_t n = 0; n < width; n++) {
            Bf16 expected = n < rows && k < cols ? ToBf16(WeightAt(packed, n, k)) : 0;
            different += DifferentBytes(&halves[static_cast<size_t>(((k - begin) / 2 * width + n) * 2 + (k - begin) % 2)], &expected, 2);
          }
        report.Check({"unpack_bf16", isa, Name(type, rows, cols), 11}, different, 0, halves.intact());
      }
    }
  }
}

void EmbedParity(Report& report) {
  for (WeightType type : kWeightTypes) {
    int64_t cols = IsSuperBlockType(type) ? 256 : 96;
    MatrixCase matrix(type, 200, cols, 5);
    PackedMatrix packed;
    if (!PackMatrix({matrix.source}, 0, arena, &packed).ok()) continue;
    for (int rows : kRows) {
      std::vector<int32_t> ids;
      for (int t = 0; t < rows; t++) ids.push_back(static_cast<int32_t>(200 * Uniform(6, 0, static_cast<uint64_t>(t))));
      Guarded<float> out(static_cast<size_t>(rows * cols));
      Status status = Embed({}, {&packed, ids.data(), rows, 1.5f, out.data()});
      std::vector<double> expected;
      for (int32_t id : ids)
        for (int64_t c = 0; c < cols; c++) expected.push_back(1.5 * SourceValueReference(matrix.source, id, c));
      report.Check({"embed", Isa::kScalar, std::string(NameOf(type)) + " T=" + std::to_string(rows), 6},
                   status.ok() ? RelativeRms(out.data(), expected.data(), out.size()) : INFINITY, 1e-6, out.intact());
    }
  }
  MatrixCase matrix(WeightType::kF32, 4, 8, 5);
  PackedMatrix packed;
  (void)PackMatrix({matrix.source}, 0, arena, &packed);
  float out[8];
  for (int32_t id : {-1, 4}) {
    Status status = Embed({}, {&packed, &id, 1, 1.f, out});
    report.Check({"embed", Isa::kScalar, "refuses id " + std::to_string(id), 5}, status.code() == Code::kShape ? 0 : 1, 0);
  }
}

WINNOW_PARITY(pack_weight, PackParity);
WINNOW_PARITY(pack_vector, VectorParity);
WINNOW_PARITY(pack_refusal, RefusalParity);
WINNOW_PARITY(unpack, UnpackParity);
WINNOW_PARITY(embed, EmbedParity);

}  // namespace
}  // namespace winnow::parity
