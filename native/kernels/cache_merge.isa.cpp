#include "cache_merge.h"

#include "numerics.h"

namespace winnow::WINNOW_ISA {

static void AddScaled(const float* x, float w, int32_t n, float* sum) {
  const Lanes factor = Set(w);
  int32_t c = 0;
  for (; c + kLanes <= n; c += kLanes) Store(sum + c, Fma(factor, Load(x + c), Load(sum + c)));
  if (c < n) StorePartial(sum + c, Fma(factor, LoadPartial(x + c, n - c), LoadPartial(sum + c, n - c)), n - c);
}

static void Scale(float* x, float w, int32_t n) {
  const Lanes factor = Set(w);
  int32_t c = 0;
  for (; c + kLanes <= n; c += kLanes) Store(x + c, Mul(factor, Load(x + c)));
  if (c < n) StorePartial(x + c, Mul(factor, LoadPartial(x + c, n - c)), n - c);
}

static float Norm(const float* x, int32_t n) {
  Lanes sum = Set(0.0f);
  int32_t c = 0;
  for (; c + kLanes <= n; c += kLanes) sum = Fma(Load(x + c), Load(x + c), sum);
  if (c < n) sum = Fma(LoadPartial(x + c, n - c), LoadPartial(x + c, n - c), sum);
  return __builtin_sqrtf(Sum(sum));
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(MergeKernels, {&WINNOW_ISA::AddScaled, &WINNOW_ISA::Scale, &WINNOW_ISA::Norm});
}
