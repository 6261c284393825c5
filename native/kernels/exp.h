#pragma once

#include <cstdint>

#include "isa.h"

namespace winnow {

/// out[i] = e^x[i] by the Exp of numerics.h, which every softmax and activation uses.
///
/// Shapes    x, out  [count]  f32; out may be x
/// Error     relative 1.2e-7 on [-87.3, 88.3]; exactly 0 below -87.33, +inf above 88.73, NaN stays NaN; the same bits on
///           every instruction set
/// Cost      11 multiply-adds a value; no allocation
struct ExpKernels {
  void (*values)(const float* x, int64_t count, float* out);
};
WINNOW_DECLARE_KERNELS(ExpKernels);

}  // namespace winnow
