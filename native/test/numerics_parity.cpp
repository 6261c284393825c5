#include <cmath>
#include <limits>

#include "../kernels/exp.h"
#include "parity.h"

namespace winnow::parity {
namespace {

/// Floats of every exponent and both signs, `step` bit patterns apart, and the special ones.
std::vector<float> ManyFloats(uint32_t step) {
  std::vector<float> values = {0.f, -0.f, INFINITY, -INFINITY, NAN, -87.33f, -87.34f, -87.3f, 88.3f, 89.f, 1e-45f, -1e-45f};
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += step) {
    auto narrow = static_cast<uint32_t>(bits);
    float f;
    std::memcpy(&f, &narrow, 4);
    values.push_back(f);
  }
  return values;
}

double ExpError(float x, float y) {
  if (std::isnan(x)) return std::isnan(y) ? 0 : INFINITY;
  if (x < -87.33f) return y == 0.f ? 0 : INFINITY;
  if (x > 88.73f) return y == std::numeric_limits<float>::infinity() ? 0 : INFINITY;
  if (x > 88.3f) return y > 2e38f ? 0 : INFINITY;  // near the end of the range the power of two overflows first
  double exact = std::exp(static_cast<double>(x));
  return std::fabs(y - exact) / exact;
}

void ExpParity(Report& report) {
  std::vector<float> x = ManyFloats(19'997), first(x.size());
  Kernels<ExpKernels>(Isa::kScalar).values(x.data(), static_cast<int64_t>(x.size()), first.data());
  for (Isa isa : AvailableIsas()) {
    Guarded<float> out(x.size(), 1);
    Kernels<ExpKernels>(isa).values(x.data(), static_cast<int64_t>(x.size()), out.data());
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++) worst = std::max(worst, ExpError(x[i], out[i]));
    std::string name = std::to_string(x.size()) + " floats of every exponent";
    report.Check({"exp", isa, name, 0}, worst, 1.2e-7, out.intact());
    double different = 0;  // NaN payloads are not part of the promise
    for (size_t i = 0; i < x.size(); i++) {
      if (!std::isnan(first[i]) || !std::isnan(out[i])) different += DifferentBytes(&first[i], &out[i], 4);
    }
    report.Check({"exp", isa, name + " = scalar", 0}, different, 0);
  }
}

void HalfParity(Report& report) {
  double f16_wrong = 0, bf16_wrong = 0;
  for (uint32_t h = 0; h < 65536; h++) {
    auto half = static_cast<uint16_t>(h);
    float from_f16 = FromF16(half), from_bf16 = FromBf16(half);
    int exponent = static_cast<int>(h >> 10 & 31), mantissa = static_cast<int>(h & 1023);
    double exact = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) {
      f16_wrong += mantissa == 0 ? !std::isinf(from_f16) : !std::isnan(from_f16);
    } else {
      f16_wrong += static_cast<double>(from_f16) != (h & 0x8000 ? -exact : exact);
    }
    if (!std::isnan(from_f16)) f16_wrong += ToF16(from_f16) != half;
    bf16_wrong += std::isnan(from_bf16) ? !std::isnan(FromBf16(ToBf16(from_bf16))) : ToBf16(from_bf16) != half;
  }
  report.Check({"half", Isa::kScalar, "all 65536 f16 there and back", 0}, f16_wrong, 0);
  report.Check({"half", Isa::kScalar, "all 65536 bf16 there and back", 0}, bf16_wrong, 0);

  // To nearest: no neighbour is nearer; ties to the even one.
  double misrounded = 0;
  for (float f : ManyFloats(1'000'003)) {
    if (std::isnan(f)) continue;
    uint16_t h = ToF16(f);
    if (std::fabs(f) >= 65520.f) {
      misrounded += !std::isinf(FromF16(h));
      continue;
    }
    double error = std::fabs(FromF16(h) - static_cast<double>(f));
    for (int side : {-1, 1}) {
      auto other = static_cast<uint16_t>(h + side);
      if ((other & 0x7c00) == 0x7c00 || (h & 0x7fff) + side < 0) continue;
      double theirs = std::fabs(FromF16(other) - static_cast<double>(f));
      misrounded += theirs < error || (theirs == error && (h & 1) == 1);
    }
  }
  report.Check({"half", Isa::kScalar, "f16 rounds to nearest even", 0}, misrounded, 0);
}

WINNOW_PARITY(exp, ExpParity);
WINNOW_PARITY(half, HalfParity);

}  // namespace
}  // namespace winnow::parity
