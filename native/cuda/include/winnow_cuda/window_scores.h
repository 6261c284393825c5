#ifndef WINNOW_CUDA_WINDOW_SCORES_H
#define WINNOW_CUDA_WINDOW_SCORES_H

#include "cache_view.h"

enum { WN_POOL_NONE = 0, WN_POOL_MEAN = 1, WN_POOL_MAX = 2 };
enum { WN_WINDOW_MEAN = 0, WN_WINDOW_SUM = 1, WN_WINDOW_MAX = 2, WN_WINDOW_VARIANCE = 3 };

typedef struct WnWindowScoresParams {
  const void* q;
  WnCacheView cache;
  float* scores;
  void* workspace;
  int64_t workspace_bytes;
  int32_t window, num_query_heads;
  int32_t max_len;  ///< host: at least every kv_len
  int32_t reduce;   ///< WN_WINDOW_*
  int32_t pool, pool_width;
  int32_t gqa;             ///< WN_GQA_*
  int32_t sliding_window;  ///< in positions; 0 = none
  float softmax_scale, soft_cap;
} WnWindowScoresParams;

/// How much the last queries attend to each slot: reduced over the queries, pooled along slots, then over query heads.
///
///   p[j, h, s] = softmax over s <= n - window + j of (cap(softmax_scale * q[j, h] . K[s, g]) + log_bias[s]),   n = kv_len
///   a[h, s]    = mean, sum, maximum or variance (divided by window - 1; 0 for one query) over j of p[j, h, s]
///   scores[l]  = mean, sum or maximum over the heads h of list l of pool(a[h])
///   pool = identity, mean over pool_width (slots beyond the ends count as 0) or maximum over those that exist
///   cap(x) = soft_cap * tanh(x / soft_cap), x where soft_cap is 0; with a sliding window a query sees slots whose position
///   is above its own minus sliding_window
///
/// Shapes    q          [rows, window, num_query_heads, head_dim]  bf16, 16-byte aligned, rotated
///           scores     [rows, S, max_len]  f32, -inf beyond a head's length; S lists by gqa
///           workspace  wn_window_scores_workspace_bytes; contents need no preparation
/// Limits    1 <= window <= every kv_len; pool_width odd; cache.positions needed with a sliding window; rows <= 65535
/// Error     relative RMS against the fp64 reference <= 2e-3
/// Cost      reads K twice, 4 * head_dim FLOP per (query, query head, slot); asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    SnapKV (arXiv 2404.14469) section 4
WN_API WnStatus wn_window_scores(const WnWindowScoresParams* params, void* stream);

/// Bytes of workspace: about 4 * rows * num_query_heads * max_len * (1 + window / 64).
WN_API int64_t wn_window_scores_workspace_bytes(const WnWindowScoresParams* params);

#endif
