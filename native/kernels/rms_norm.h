#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"

namespace winnow {

struct RmsNormParams {
  const float* x;
  const float* gain;
  int64_t num_rows, width;
  float eps, gain_offset;
  void* out;
  DType out_type;
  bool accumulate = false;  ///< out += instead of out =
};

/// Root-mean-square norm of each row.
///
///   out (+)= x * rsqrt(mean(x^2) + eps) * (gain + gain_offset)
///
/// Shapes    x     [num_rows, width]  f32
///           gain  [width]            f32
///           out   [num_rows, width]  f32 (may be x) or bf16
/// Limits    width >= 1; accumulate only into f32, and then out is not x
/// Error     relative RMS against fp64: f32 <= 1e-6, bf16 <= 2^-8; the same f32 bits on every instruction set
/// Cost      reads x twice (second time from cache), writes out once; no allocation
/// Returns   Status with code and message; never throws, prints or exits
Status RmsNorm(const Context& context, const RmsNormParams& params);

/// One row per call; shared with the QK-norm of Rope.
struct RmsNormKernels {
  void (*row)(const float* x, const float* gain, int64_t width, float eps, float gain_offset, float* out);
  void (*row_bf16)(const float* x, const float* gain, int64_t width, float eps, float gain_offset, uint16_t* out);
  void (*row_add)(const float* x, const float* gain, int64_t width, float eps, float gain_offset, float* out);
};
WINNOW_DECLARE_KERNELS(RmsNormKernels);

/// The naive fp64 form.
void RmsNormReference(const float* x, const float* gain, int64_t num_rows, int64_t width, double eps, double gain_offset, double* out);

}  // namespace winnow
