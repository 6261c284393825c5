#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"

namespace winnow {

struct ArgmaxParams {
  const float* logits;
  int64_t num_rows, width;
  int32_t* out;
};

/// Index of the largest value of each row; ties go to the lowest index, NaN is never chosen (0 where nothing else is there).
///
/// Shapes    logits  [num_rows, width]  f32
///           out     [num_rows]         int32
/// Limits    1 <= width < 2^31
/// Error     exact
/// Cost      reads each value once, and up to the found index again; no allocation
/// Returns   Status with code and message; never throws, prints or exits
Status Argmax(const Context& context, const ArgmaxParams& params);

struct ArgmaxKernels {
  int32_t (*row)(const float* x, int64_t width);
};
WINNOW_DECLARE_KERNELS(ArgmaxKernels);

/// The naive form.
int32_t ArgmaxReference(const float* x, int64_t width);

}  // namespace winnow
