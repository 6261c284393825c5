#ifndef WINNOW_CUDA_RMS_NORM_H
#define WINNOW_CUDA_RMS_NORM_H

#include "status.h"

typedef struct WnRmsNormParams {
  const void* x;
  void* residual;
  const void* weight;
  void* out;
  int64_t num_rows;
  int32_t width;
  float epsilon;
} WnRmsNormParams;

/// Root-mean-square norm, with the residual sum before it where one is given.
///
///   r = x + residual (rounded to bf16 and stored to residual),   out = r / sqrt(mean(r^2) + epsilon) * weight
///
/// Shapes    x, out    [num_rows, width]  bf16, 16-byte aligned; out may be x
///           residual  [num_rows, width]  bf16, updated in place; null = none
///           weight    [width]  bf16
/// Limits    width a multiple of 8
/// Error     relative RMS against the fp64 reference <= 4e-3 (bf16 output)
/// Cost      4 bytes moved per element, 8 with a residual; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_rms_norm(const WnRmsNormParams* params, void* stream);

#endif
