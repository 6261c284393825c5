#include "rope.h"

#include "numerics.h"
#include "rms_norm.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

constexpr int kMostDims = 1024;

void ReadHead(const void* x, bool bf16, int32_t n, float* out) {
  int32_t i = 0;
  if (bf16) {
    auto* from = static_cast<const Bf16*>(x);
    for (; i + kLanes <= n; i += kLanes) Store(out + i, LoadBf16(from + i));
    if (i < n) StorePartial(out + i, LoadBf16Partial(from + i, n - i), n - i);
    return;
  }
  auto* from = static_cast<const float*>(x);
  for (; i + kLanes <= n; i += kLanes) Store(out + i, Load(from + i));
  if (i < n) StorePartial(out + i, LoadPartial(from + i, n - i), n - i);
}

void WriteHead(const float* x, int32_t n, void* out, bool bf16) {
  int32_t i = 0;
  if (bf16) {
    auto* to = static_cast<Bf16*>(out);
    for (; i + kLanes <= n; i += kLanes) StoreBf16(to + i, Load(x + i));
    if (i < n) StoreBf16Partial(to + i, LoadPartial(x + i, n - i), n - i);
    return;
  }
  auto* to = static_cast<float*>(out);
  for (; i + kLanes <= n; i += kLanes) Store(to + i, Load(x + i));
  if (i < n) StorePartial(to + i, LoadPartial(x + i, n - i), n - i);
}

void Rotate(float* x, const float* cos_sin, int32_t half) {
  for (int32_t i = 0; i < half; i += kLanes) {
    int n = half - i < kLanes ? half - i : kLanes;
    Lanes a = LoadPartial(x + i, n), b = LoadPartial(x + half + i, n);
    Lanes c = LoadPartial(cos_sin + i, n), s = LoadPartial(cos_sin + half + i, n);
    StorePartial(x + i, Fma(a, c, Mul(Sub(Set(0), b), s)), n);
    StorePartial(x + half + i, Fma(b, c, Mul(a, s)), n);
  }
}

void Head(const void* x, bool bf16_in, const float* gain, float eps, const float* cos_sin, int32_t rope_dims, int32_t head_dim,
          void* out, bool bf16_out) {
  alignas(64) float work[kMostDims];
  ReadHead(x, bf16_in, head_dim, work);
  if (gain != nullptr) WINNOW_JOIN(RmsNormKernels, WINNOW_ISA)().row(work, gain, head_dim, eps, 0.f, work);
  if (cos_sin != nullptr) Rotate(work, cos_sin, rope_dims / 2);
  WriteHead(work, head_dim, out, bf16_out);
}

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(RopeKernels, {&WINNOW_ISA::Head});

}  // namespace winnow
