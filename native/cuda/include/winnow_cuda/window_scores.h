#ifndef WINNOW_CUDA_WINDOW_SCORES_H
#define WINNOW_CUDA_WINDOW_SCORES_H

#include "status.h"

enum { WN_POOL_NONE = 0, WN_POOL_MEAN = 1, WN_POOL_MAX = 2 };

typedef struct WnWindowScoresParams {
  const void* q_window;
  const float* lse;
  const void* k;
  const void* pages;
  const int32_t* page_table;
  float* scores;
  void* workspace;
  int64_t workspace_bytes;
  int64_t kv_token_stride, kv_head_stride;  ///< elements of k
  int64_t lse_head_stride;
  int32_t observation_window, num_query_heads, num_kv_heads, head_dim;
  int32_t kv_len, num_scored;
  int32_t page_table_stride;
  int32_t pool, pool_width;
  float softmax_scale;
} WnWindowScoresParams;

/// How much the last queries attend to each earlier key, pooled along tokens and averaged over the group.
///
///   a[h, j]      = 1/w * sum over r < w with j <= kv_len - w + r of exp(softmax_scale * q[r, h] . k[j, g] - lse[h, r])
///   scores[g, j] = mean over the heads h of g of pool(a[h])[j],   j < num_scored,   w = observation_window
///   pool = identity, mean over pool_width (zero outside 0 .. num_scored - 1) or max over it
///
/// Shapes    q_window   [observation_window, num_query_heads, head_dim]  bf16, 16-byte aligned, rotated
///           lse        num_query_heads rows of observation_window f32 at lse_head_stride: what prefill returned
///           k          kv_len tokens by num_kv_heads at the given strides, bf16, 16-byte aligned; null if paged
///           pages      the paged cache (see WN_PAGE_SIZE) with page_table [num_kv_heads, page_table_stride]
///           scores     [num_kv_heads, num_scored]  f32
///           workspace  wn_window_scores_workspace_bytes; contents need no preparation
/// Limits    head_dim in {64, 128}; 1 <= num_scored <= kv_len; observation_window <= kv_len; pool_width odd, <= 63
/// Error     relative RMS against the fp64 reference <= 2e-3
/// Cost      reads K once, 2 * head_dim FLOP per (window row, query head, key); asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    SnapKV (arXiv 2404.14469) section 4; num_scored = kv_len - observation_window there
WN_API WnStatus wn_window_scores(const WnWindowScoresParams* params, void* stream);

/// Bytes of workspace: num_query_heads * num_scored floats.
WN_API int64_t wn_window_scores_workspace_bytes(const WnWindowScoresParams* params);

#endif
