#include "rms_norm.h"

#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

float Scale(const float* x, int64_t width, float eps) {
  Lanes sum = Set(0);
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    Lanes v = Load(x + i);
    sum = Fma(v, v, sum);
  }
  if (i < width) {
    Lanes v = LoadPartial(x + i, static_cast<int>(width - i));
    sum = Fma(v, v, sum);
  }
  return 1.f / __builtin_sqrtf(Sum(sum) / static_cast<float>(width) + eps);
}

template <class Put, class PutPartial>
inline void Apply(const float* x, const float* gain, int64_t width, float eps, float gain_offset, Put put, PutPartial put_partial) {
  Lanes scale = Set(Scale(x, width, eps)), offset = Set(gain_offset);
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) put(i, Mul(Mul(Load(x + i), scale), Add(Load(gain + i), offset)));
  if (int n = static_cast<int>(width - i); n > 0) {
    put_partial(i, Mul(Mul(LoadPartial(x + i, n), scale), Add(LoadPartial(gain + i, n), offset)), n);
  }
}

void Row(const float* x, const float* gain, int64_t width, float eps, float gain_offset, float* out) {
  Apply(x, gain, width, eps, gain_offset, [=](int64_t i, Lanes v) { Store(out + i, v); },
        [=](int64_t i, Lanes v, int n) { StorePartial(out + i, v, n); });
}

void RowBf16(const float* x, const float* gain, int64_t width, float eps, float gain_offset, uint16_t* out) {
  Apply(x, gain, width, eps, gain_offset, [=](int64_t i, Lanes v) { StoreBf16(out + i, v); },
        [=](int64_t i, Lanes v, int n) { StoreBf16Partial(out + i, v, n); });
}

void RowAdd(const float* x, const float* gain, int64_t width, float eps, float gain_offset, float* out) {
  Apply(x, gain, width, eps, gain_offset, [=](int64_t i, Lanes v) { Store(out + i, Add(Load(out + i), v)); },
        [=](int64_t i, Lanes v, int n) { StorePartial(out + i, Add(LoadPartial(out + i, n), v), n); });
}

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(RmsNormKernels, {&WINNOW_ISA::Row, &WINNOW_ISA::RowBf16, &WINNOW_ISA::RowAdd});

}  // namespace winnow
