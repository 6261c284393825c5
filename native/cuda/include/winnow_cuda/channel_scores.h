#ifndef WINNOW_CUDA_CHANNEL_SCORES_H
#define WINNOW_CUDA_CHANNEL_SCORES_H

#include "cache_view.h"

typedef struct WnChannelScoresParams {
  const void* q;
  WnCacheView cache;
  const int32_t* channels;
  const int32_t* channel_lens;
  float* scores;
  int32_t query_len, num_query_heads, max_len;
  int32_t lists, channel_stride;
  int32_t q_type;  ///< WN_F32 or WN_BF16
  int32_t gqa;     ///< WN_GQA_*
} WnChannelScoresParams;

/// Scores of slots by some channels of their keys.
///
///   score[h, s] = max over t of sum over c in channels(h) of q[t, h, c] . K[s, g, c], then over query heads by gqa
///
/// Shapes    q             [rows, query_len, num_query_heads, head_dim]  f32 or bf16
///           channels      [rows, lists, channel_stride]  int32, ascending; lists = 1, num_kv_heads or num_query_heads
///           channel_lens  [rows, lists]  int32, -1 all channels
///           scores        [rows, S, max_len]  f32, -inf beyond a head's length; S lists by gqa
/// Error     relative RMS against the fp64 reference <= 1e-5
/// Cost      the listed channels of each slot and query head once; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_channel_scores(const WnChannelScoresParams* params, void* stream);

#endif
