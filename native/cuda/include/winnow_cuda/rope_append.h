#ifndef WINNOW_CUDA_ROPE_APPEND_H
#define WINNOW_CUDA_ROPE_APPEND_H

#include "cache_view.h"

typedef struct WnRopeAppendParams {
  const void* qkv;
  const int32_t* positions;
  const float* cos_sin;
  const float* q_norm;
  const float* k_norm;
  void* q_out;
  WnCacheView cache;
  int32_t num_tokens;  ///< of each row
  int32_t num_query_heads;
  int32_t rope_dims;
  int32_t qkv_type;       ///< WN_F32 or WN_BF16
  int32_t pre_rope_keys;  ///< 1 stores keys un-rotated
  float epsilon;
} WnRopeAppendParams;

/// Rotary embedding of queries and keys of a fused projection, with a norm of each head before it where gains are given;
/// keys and values go behind what each row and KV head of the cache holds, with their positions, count 1 and bias 0.
///
///   (a, b) = (x[i], x[i + rope_dims / 2]),   x[i] = a cos - b sin,   x[i + rope_dims / 2] = b cos + a sin
///   slot cache.kv_lens[r, g] + t of (r, g) = key, value of token r * num_tokens + t
///
/// Shapes    qkv        [rows * num_tokens, num_query_heads + 2 * num_kv_heads, head_dim]  f32 or bf16
///           positions  [rows * num_tokens]  int32, row of cos_sin
///           cos_sin    [max_positions, rope_dims]  f32, cosines then sines, made in f64 on the host
///           q_norm, k_norm  [head_dim]  f32 gains; null = no norm
///           q_out      [rows * num_tokens, num_query_heads * head_dim]  bf16
///           cache      kv_lens are lengths before the append and are not changed; num_kv_heads 0: queries alone
/// Limits    rope_dims even, <= head_dim; head_dim <= 256
/// Error     relative RMS against the fp64 reference <= 4e-3 (bf16 output)
/// Cost      one read and one write per element; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_rope_append(const WnRopeAppendParams* params, void* stream);

#endif
