#ifndef WINNOW_CUDA_RMS_NORM_H
#define WINNOW_CUDA_RMS_NORM_H

#include "status.h"

typedef struct WnRmsNormParams {
  const float* x;
  const float* gain;
  void* out;
  int64_t num_rows;
  int32_t width;
  int32_t out_type;    ///< WN_F32 or WN_BF16
  int32_t accumulate;  ///< 1 adds to what `out` (f32) holds
  float epsilon;
  float gain_offset;
} WnRmsNormParams;

/// Root-mean-square norm.
///
///   out (+)= x / sqrt(mean(x^2) + epsilon) * (gain + gain_offset)
///
/// Shapes    x, out  [num_rows, width]  x f32, out f32 or bf16; out may be x where neither rounded nor added to
///           gain    [width]  f32; may be read before the kernels ahead on the stream have ended, so none of them writes it
/// Limits    accumulate only into f32
/// Error     relative RMS against the fp64 reference <= 4e-3 (bf16 output), 1e-6 (f32)
/// Cost      x read twice (the second time from the first-level cache); asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_rms_norm(const WnRmsNormParams* params, void* stream);

#endif
