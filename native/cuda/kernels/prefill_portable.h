/// Attention of long runs of queries on every device since Ampere, for the operations that lead to it.
#ifndef WINNOW_CUDA_PREFILL_PORTABLE_H
#define WINNOW_CUDA_PREFILL_PORTABLE_H

#include "winnow_cuda/attention_any.h"
#include "winnow_cuda/prefill_attention.h"

namespace winnow {

/// Least and greatest position of the slots of a page.
struct PageReach {
  int32_t least, greatest;
};

/// Query t of head h of row r sees slots s below min(own + 1, n), or below n where it sees all; own = n - query_len + t, or
/// t + q_offset. Windows, sliding window and block lists cut that down as the two operations' headers say.
struct PrefillPortableArgs {
  const void *q, *k, *v;      ///< k, v: of the first page where there are pages, else of the first token
  const int32_t* page_table;  ///< [rows, num_kv_heads, page_table_stride]; null = blocks one after the other
  const int32_t* kv_lens;     ///< [rows, num_kv_heads]; null = kv_len
  const int32_t* windows;     ///< [num_query_heads, 2]; null = sink_tokens and window_tokens, 0 = none
  const int32_t* positions;   ///< needed with sliding_window, and `reach` [rows, num_kv_heads, page_table_stride]
  PageReach* reach;
  const int32_t *block_row_ptr, *block_ids;
  void* out;
  float* lse;
  /// Elements of k and v from one token, head (0 in pages) and block of 64 tokens or page to the next.
  int64_t token_stride, head_stride, block_stride;
  int64_t lse_token_stride, lse_head_stride;
  int32_t rows, query_len, num_query_heads, num_kv_heads, head_dim, pack, page_table_stride;
  int32_t kv_len, q_offset;  ///< q_offset negative: n - query_len
  int32_t sink_tokens, window_tokens, sliding_window, sees_all;
  float softmax_scale, soft_cap;
};

/// head_dim a multiple of 16 up to 256. Packs the heads of a group into a block unless `pack` is 1, which lists need.
WnStatus prefill_portable(const PrefillPortableArgs& args, void* stream);
/// The same for what wn_prefill_attention takes; params have been checked.
WnStatus prefill_portable(const WnPrefillAttentionParams& params, void* stream);

}  // namespace winnow

#endif
