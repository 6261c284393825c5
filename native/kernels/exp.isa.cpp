#include "exp.h"

#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

void Values(const float* x, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(out + i, Exp(Load(x + i)));
  if (int n = static_cast<int>(count - i); n > 0) StorePartial(out + i, Exp(LoadPartial(x + i, n)), n);
}

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(ExpKernels, {&WINNOW_ISA::Values});

}  // namespace winnow
