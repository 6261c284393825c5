#ifndef WINNOW_CUDA_ATTENTION_ANY_H
#define WINNOW_CUDA_ATTENTION_ANY_H

#include "status.h"

/// Whose list of keys is read: nobody's (all slots), or one list per row, KV head or query head.
enum { WN_LIST_NONE = 0, WN_LIST_ROW = 1, WN_LIST_KV_HEAD = 2, WN_LIST_QUERY_HEAD = 3 };
/// Which of the new slots a new query sees: those up to its own, all, or its own and its ancestors'.
enum { WN_SEE_CAUSAL = 0, WN_SEE_ALL = 1, WN_SEE_TREE = 2 };
/// Most queries of a row that may form a tree.
enum { WN_MAX_TREE = 64 };

typedef struct WnAttentionAnyParams {
  const void* q;
  const void* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  const int32_t* positions;
  const float* log_bias;
  const int32_t* windows;
  const int32_t* indices;
  const int32_t* index_lens;
  const int32_t* parents;
  void* out;
  float* lse;
  float* probs;
  void* workspace;
  int64_t workspace_bytes, max_slots;
  int32_t rows, query_len, num_query_heads, num_kv_heads, head_dim;
  int32_t page_table_stride, index_stride;
  int32_t list, page_size;  ///< WN_LIST_*; page_size 0: indices are slots
  int32_t visible;          ///< WN_SEE_*
  int32_t sliding_window;   ///< in positions, 0 = none
  float softmax_scale, soft_cap;
  int32_t variant;
} WnAttentionAnyParams;

/// Attention of the last query_len slots' queries of each row over its paged cache, with everything that narrows it.
///
///   out[r, t, h] = softmax(cap(softmax_scale * q[r, t, h] . K[S]^T) + log_bias[S]) . V[S],   g = h / group_size,
///   n = kv_lens[r, g],  own = n - query_len + t,  S = slots s < n of (r, g) for which all of these hold:
///     new      s < n - query_len, or s <= own (causal), or anything (all), or s is own's or an ancestor's (tree)
///     list     s >= n - query_len, or s (s / page_size) is in the list; length -1 lists all, 0 gives nothing at all
///     window   s < windows[h][0] or s > own - windows[h][1]; one of them negative = everything
///     sliding  positions[s] > positions[own] - sliding_window
///   cap(x) = soft_cap * tanh(x / soft_cap), x where soft_cap is 0
///
/// Shapes    q, out      [rows, query_len, num_query_heads, head_dim]  bf16, 16-byte aligned; out aliases no input
///           pages       the paged cache (see WN_PAGE_SIZE), 16-byte aligned
///           page_table  [rows, num_kv_heads, page_table_stride]  int32; negative = given back, read by nobody
///           kv_lens     [rows, num_kv_heads]  int32, >= query_len
///           positions   [num_pages, 64]  int32 by arena slot; needed with sliding_window
///           log_bias    [num_pages, 64]  f32, nats, never NaN or +inf; null = none
///           windows     [num_query_heads, 2]  int32 (sink, recent slots); null = none
///           indices     [rows, L, index_stride]  int32, ascending, L = 1, num_kv_heads or num_query_heads
///           index_lens  [rows, L]  int32
///           parents     [rows, query_len]  int32, -1 or an earlier query; needed for WN_SEE_TREE
///           lse         [rows, query_len, num_query_heads]  f32, natural log; null = not wanted
///           probs       [rows, num_query_heads, max_slots]  f32, 0 where not read, -inf from kv_lens on; null
///           workspace   wn_attention_any_workspace_bytes; contents need no preparation; one per stream
/// Limits    head_dim a multiple of 16 up to 256; probs with query_len 1 only; trees of at most WN_MAX_TREE queries;
///           max_slots >= every length; softmax_scale > 0. A query that sees nothing gets out = 0, lse = -inf.
///           Lengths are read on the device, so a captured graph stays valid while page_table_stride does
/// Error     relative RMS against the fp64 reference <= 6e-3 (bf16 probabilities), lse and ln probs <= 2e-3 absolute
/// Numerics  the bits of a row depend on its own cache and lists and on query_len, not on other rows
/// Cost      4 * head_dim bytes per listed slot and KV head (query head, where each has its list) and per 64 (16, of few;
///           128 of long runs with neither list, tree nor bias, 64 above head_dim 128) packed queries; slots that no query of a
///           list may see are not read; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// `variant` 0 chooses; 1 = the kernel for long runs of queries, which has neither lists, trees, biases nor probs; 2 = the other
WN_API WnStatus wn_attention_any(const WnAttentionAnyParams* params, void* stream);

/// Bytes of workspace: depends on shapes and strides alone.
WN_API int64_t wn_attention_any_workspace_bytes(const WnAttentionAnyParams* params);

#endif
