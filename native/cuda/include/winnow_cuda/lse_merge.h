#ifndef WINNOW_CUDA_LSE_MERGE_H
#define WINNOW_CUDA_LSE_MERGE_H

#include "status.h"

typedef struct WnLseMergeParams {
  const float* part_out;
  const float* part_lse;
  void* out;
  float* lse;
  int32_t num_parts, num_rows, head_dim;
  int32_t out_f32;
} WnLseMergeParams;

/// Join attention results over disjoint sets of keys.
///
///   M = max_p lse_p,  w_p = exp(lse_p - M),  out = sum w_p out_p / sum w_p,  lse = M + ln sum w_p
///
/// Shapes    part_out  [num_parts, num_rows, head_dim]  f32, normalised within each part
///           part_lse  [num_parts, num_rows]  f32, natural log, -inf for an empty part
///           out       [num_rows, head_dim]  bf16, or f32 with out_f32
///           lse       [num_rows]  f32; null = not wanted
/// Limits    num_parts >= 1; all parts empty gives out = 0, lse = -inf
/// Error     relative RMS against the fp64 reference <= 3e-3 (bf16 output), 1e-5 (f32)
/// Cost      num_parts * num_rows * head_dim * 4 bytes read; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_lse_merge(const WnLseMergeParams* params, void* stream);

#endif
