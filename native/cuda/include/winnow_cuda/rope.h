#ifndef WINNOW_CUDA_ROPE_H
#define WINNOW_CUDA_ROPE_H

#include "status.h"

typedef struct WnRopeParams {
  void* x;
  const int32_t* positions;
  const float* cos_table;
  const float* sin_table;
  int64_t token_stride;  ///< elements between tokens of x
  int32_t num_tokens, num_heads, head_dim, rotary_dim, table_len;
} WnRopeParams;

/// Rotate heads in place by their position; with signed differences as positions it is the re-rotation by a delta.
///
///   (a, b) = (x[i], x[i + rotary_dim / 2]),   x[i] = a cos - b sin,   x[i + rotary_dim / 2] = b cos + a sin,
///   angle = position * frequency i, read from the tables at |position|, the sine negated for a negative position
///
/// Shapes    x          num_tokens tokens of [num_heads, head_dim] at token_stride, bf16
///           positions  [num_tokens]  int32, |position| < table_len
///           cos_table, sin_table  [table_len, rotary_dim / 2]  f32, made in f64 on the host: fast sine intrinsics
///                      fail at 1e5 radians
/// Limits    rotary_dim even, <= head_dim; channels from rotary_dim on are left alone
/// Error     relative RMS against the fp64 reference <= 3e-3 (bf16 output)
/// Cost      4 bytes moved per rotated element; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_rope(const WnRopeParams* params, void* stream);

#endif
