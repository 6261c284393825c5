#include "soft_cap.h"

#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

/// Near zero the quotient below cancels, so a polynomial (Cephes, relative error below 1e-7) stands in for it.
inline Lanes Tanh(Lanes x) {
  Lanes square = Mul(x, x);
  Lanes p = Set(-5.70498872745e-3f);
  p = Fma(p, square, Set(2.06390887954e-2f));
  p = Fma(p, square, Set(-5.37397155531e-2f));
  p = Fma(p, square, Set(1.33314422036e-1f));
  p = Fma(p, square, Set(-3.33332819422e-1f));
  Lanes near_zero = Fma(Mul(p, square), x, x);
  Lanes far = Sub(Set(1), Div(Set(2), Add(Exp(Add(x, x)), Set(1))));
  return SelectLess(square, Set(0.390625f), near_zero, far);
}

void Range(float* x, int64_t count, float cap) {
  Lanes factor = Set(cap), inverse = Set(1 / cap);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(x + i, Mul(factor, Tanh(Mul(Load(x + i), inverse))));
  if (int n = static_cast<int>(count - i); n > 0) {
    StorePartial(x + i, Mul(factor, Tanh(Mul(LoadPartial(x + i, n), inverse))), n);
  }
}

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(SoftCapKernels, {&WINNOW_ISA::Range});

}  // namespace winnow
