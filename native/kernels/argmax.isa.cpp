#include "argmax.h"

#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

int32_t Row(const float* x, int64_t width) {
  const float lowest = -__builtin_inff();
  Lanes best = Set(lowest);
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) best = Max(Load(x + i), best);  // a NaN loses: Max gives its second operand
  if (i < width) best = Max(LoadPartial(x + i, static_cast<int>(width - i), lowest), best);
  float largest = Largest(best);
  for (i = 0; i < width; i++) {
    if (x[i] == largest) return static_cast<int32_t>(i);
  }
  return 0;
}

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(ArgmaxKernels, {&WINNOW_ISA::Row});

}  // namespace winnow
