#ifndef WINNOW_CUDA_DECODE_ATTENTION_H
#define WINNOW_CUDA_DECODE_ATTENTION_H

#include "status.h"

typedef struct WnDecodeAttentionParams {
  const void* q;
  const void* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  const int32_t* selected;
  const int32_t* selected_lens;
  const float* log_bias;
  void* out;
  float* lse;
  void* workspace;
  int64_t workspace_bytes;
  int32_t batch, num_query_heads, num_kv_heads, head_dim;
  int32_t num_pages, page_table_stride, selected_stride;
  int32_t selection;      ///< WN_SELECT_*
  int32_t selected_page;  ///< slots of a selected page: 16, 32 or 64; 0 = 64
  int32_t one_list_per_row, reads_own;  ///< 0 or 1
  float softmax_scale;
} WnDecodeAttentionParams;

enum { WN_SELECT_ALL = 0, WN_SELECT_PAGES = 1, WN_SELECT_TOKENS = 2 };

/// Decode attention of one query token per row over a ragged paged cache, or over selected pages or tokens of it.
///
///   out[b, h] = softmax(softmax_scale * q[b, h] . K[S]^T + log_bias[S]) . V[S],   g = h / group_size,
///   S = slots 0 .. kv_lens[b, g] - 1 of (b, g), those in the selected pages, or the selected ones; with reads_own the last
///       slot too, unless the list is empty
///
/// Shapes    q, out         [batch, num_query_heads, head_dim]  bf16, 16-byte aligned; out aliases no input
///           pages          num_pages pages (see WN_PAGE_SIZE), 128-byte aligned
///           page_table     [batch, num_kv_heads, page_table_stride]  int32
///           kv_lens        [batch, num_kv_heads]  int32, >= 0
///           selected       [batch, num_kv_heads, selected_stride], or [batch, selected_stride] with one_list_per_row;
///                          int32, ascending: pages of selected_page slots, or slots; what lies past the end
///                          reads nothing (slots: with reads_own);
///                          null for WN_SELECT_ALL
///           selected_lens  as many lens as lists  int32, -1 = all slots (with reads_own); null for WN_SELECT_ALL
///           log_bias       [num_pages, 64]  f32, nats, added after scaling; null = none; never NaN or +inf; not with
///                          pages of fewer than 64 slots, nor with pages and reads_own
///           lse            [batch, num_query_heads]  f32, natural log; null = not wanted
///           workspace      wn_decode_attention_workspace_bytes; zeroed once by the caller, left zeroed where needed;
///                          one per stream
/// Limits    head_dim in {64, 128, 256}; group_size <= 16; softmax_scale > 0; compute capability 9.0. A row with no
///           key gets out = 0 and lse = -inf. Lengths are read on the device, so a captured graph stays valid
/// Error     relative RMS against the fp64 reference <= 6e-3, lse <= 2e-3 absolute; bitwise repeatable
/// Cost      4 * head_dim bytes read per visited slot and KV head; no allocation; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_decode_attention(const WnDecodeAttentionParams* params, void* stream);

/// Bytes of workspace for these params on the current device (0 if there is none).
WN_API int64_t wn_decode_attention_workspace_bytes(const WnDecodeAttentionParams* params);

#endif
