#ifndef WINNOW_CUDA_ATTENTION_PROBS_H
#define WINNOW_CUDA_ATTENTION_PROBS_H

#include "cache_view.h"
#include "status.h"

typedef struct WnAttentionProbsParams {
  const void* q;
  WnCacheView cache;
  const float* lse;
  float* probs;
  int64_t max_slots;
  int32_t num_query_heads;
  float softmax_scale;
} WnAttentionProbsParams;

/// Attention weights of one query a row over all of its slots, from the log-sum that attention left.
///
///   probs[r, h, s] = exp(softmax_scale * q[r, h] . K[s, g] + log_bias[s] - lse[r, h]), s < kv_lens[r, g],   g = h / group_size
///   probs[r, h, s] = -inf behind
///
/// Shapes    q      [rows, num_query_heads, head_dim]  bf16, 16-byte aligned
///           lse    [rows, num_query_heads]  f32, natural log; -inf gives 0
///           probs  [rows, num_query_heads, max_slots]  f32
/// Limits    head_dim a multiple of 32 up to 256; softmax_scale > 0; max_slots >= every length
/// Error     ln probs <= 2e-3 absolute beside an exact lse
/// Cost      2 * head_dim bytes read and 4 * group_size written per slot and KV head; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_attention_probs(const WnAttentionProbsParams* params, void* stream);

#endif
