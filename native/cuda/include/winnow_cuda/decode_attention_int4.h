#ifndef WINNOW_CUDA_DECODE_ATTENTION_INT4_H
#define WINNOW_CUDA_DECODE_ATTENTION_INT4_H

#include "status.h"

typedef struct WnDecodeAttentionInt4Params {
  const void* q;
  const void* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  void* out;
  float* lse;
  void* workspace;
  int64_t workspace_bytes;
  int32_t batch, num_query_heads, num_kv_heads, head_dim;
  int32_t num_pages, page_table_stride;
  float softmax_scale;
} WnDecodeAttentionInt4Params;

/// Decode attention of one query token per row over pages quantised to 4 bits by wn_kv_quantise.
///
///   out[b, h] = softmax(softmax_scale * q[b, h] . K'[S]^T) . V'[S],   K' = min + scale * code, the same for V'
///
/// Shapes    q, out      [batch, num_query_heads, head_dim]  bf16, 16-byte aligned; out aliases no input
///           pages       num_pages quantised pages (layout in kv_quantise.h), 16-byte aligned
///           page_table  [batch, num_kv_heads, page_table_stride]  int32
///           kv_lens     [batch, num_kv_heads]  int32, >= 0
///           lse         [batch, num_query_heads]  f32, natural log; null = not wanted
///           workspace   wn_decode_attention_int4_workspace_bytes; contents need no preparation
/// Limits    head_dim in {64, 128}; group_size <= 8; softmax_scale > 0. A row with no key gets out = 0, lse = -inf
/// Error     relative RMS against the fp64 reference over the same codes <= 6e-3, lse <= 5e-3 absolute (queries,
///           weights and their products with the scales are f16: a query times a key scale beyond 16376 and a value
///           scale beyond 255 are out of range)
/// Cost      160 bytes read per slot and KV head at head_dim 128; no allocation; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    KIVI (arXiv 2402.02750): keys grouped along tokens, values along channels; groups of 32
WN_API WnStatus wn_decode_attention_int4(const WnDecodeAttentionInt4Params* params, void* stream);

/// Bytes of workspace for these params.
WN_API int64_t wn_decode_attention_int4_workspace_bytes(const WnDecodeAttentionInt4Params* params);

#endif
