#ifndef WINNOW_CUDA_PREFILL_ATTENTION_H
#define WINNOW_CUDA_PREFILL_ATTENTION_H

#include "status.h"

/// Rows of queries that share one block list, and tokens in one block of a list.
enum { WN_PREFILL_ROW_BLOCK = 128, WN_PREFILL_COLUMN_BLOCK = 64 };

typedef struct WnPrefillAttentionParams {
  const void* q;
  const void* k;
  const void* v;
  void* out;
  float* lse;
  int32_t num_query_heads, num_kv_heads, head_dim;
  int32_t query_len, kv_len, q_offset;
  int64_t kv_token_stride, kv_head_stride;  ///< elements; of k and v both
  float softmax_scale;
  int32_t sink_tokens, window_tokens;
  const int32_t* block_row_ptr;
  const int32_t* block_ids;
  const void* pages;
  const int32_t* page_table;
  int32_t* scheduler;
  int32_t num_pages, page_table_stride;
  int32_t variant;
  int32_t lse_by_token;  ///< 0 or 1
} WnPrefillAttentionParams;

/// Causal grouped-query attention of many query tokens, over everything or over a plan.
///
///   out[i, h] = softmax(softmax_scale * q[i, h] . K[S, g]^T) . V[S, g],   g = h / group_size,
///   S = { j < kv_len : j <= i + q_offset } cut by the plan:
///     sink + window  (window_tokens > 0)       j < sink_tokens or j > i + q_offset - window_tokens
///     block list     (block_row_ptr not null)  j / 64 in block_ids of (h, i / 128)
///
/// Shapes    q, out         [query_len, num_query_heads, head_dim]  bf16, 16-byte aligned; out aliases no input
///           k, v           kv_len tokens by num_kv_heads at the given strides, bf16, 16-byte aligned; null if paged
///           lse            [num_query_heads, query_len], or [query_len, num_query_heads] with lse_by_token;  f32, natural log;
///                          null = not wanted
///           block_row_ptr  [num_query_heads * ceil(query_len / 128) + 1]  int32, ascending; null = no list
///           block_ids      int32, each id at most once per row block; an id past the diagonal costs time only
///           pages          the paged cache, num_pages pages (see WN_PAGE_SIZE); null = k and v
///           page_table     [num_kv_heads, page_table_stride]  int32 page of tokens 64 i .. 64 i + 63 of that head
///           scheduler      [2]  int32, zeroed once by the caller and left zeroed, one per stream: row blocks are then
///                          handed out as they are asked for; null = in a fixed order
/// Units     lengths, strides of the window and q_offset in tokens; q_offset is kv_len - query_len for a plain chunk,
///           and >= kv_len to see every key
/// Limits    head_dim in {64, 128, 256}; num_query_heads % num_kv_heads == 0; softmax_scale > 0; q_offset >= 0;
///           query_len, kv_len >= 1; strides multiples of 8 elements; list and window not both; a row that sees
///           nothing gets out = 0 and lse = -inf; compute capability 8.0 or more
/// Error     relative RMS against the fp64 reference <= 6e-3 (bf16 probabilities), lse <= 2e-3 absolute
/// Cost      4 * head_dim FLOP per visible pair and query head; no allocation; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// `variant` 0 chooses; 20 = the portable kernel, which any device but Hopper's takes
WN_API WnStatus wn_prefill_attention(const WnPrefillAttentionParams* params, void* stream);

#endif
