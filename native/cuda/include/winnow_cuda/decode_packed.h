#ifndef WINNOW_CUDA_DECODE_PACKED_H
#define WINNOW_CUDA_DECODE_PACKED_H

#include "cache_view.h"

typedef struct WnDecodePackedParams {
  const void* q;
  WnCacheView cache;
  WnPageFormat format;  ///< of every packed page
  void* out;
  float* lse;
  void* workspace;
  int64_t workspace_bytes;
  int32_t num_query_heads;
  float softmax_scale;
} WnDecodePackedParams;

/// Decode attention of one query token per row over a cache of packed pages of one format and pages of elements, in any order.
///
///   out[b, h] = softmax(softmax_scale * q[b, h] . K'[S]^T) . V'[S],   K', V' = code * scale + minimum, or the elements,
///   S = slots 0 .. kv_lens[b, h / group_size] - 1
///
/// Shapes    q, out      [rows, num_query_heads, head_dim]  bf16, 16-byte aligned; out aliases no input
///           cache       page_table names packed pages below 0; positions, counts, log_bias and formats are not read
///           lse         [rows, num_query_heads]  f32, natural log; null = not wanted
///           workspace   wn_decode_packed_workspace_bytes, 16-byte aligned; contents need no preparation
/// Limits    see wn_decode_packed_takes; group_size <= 8; softmax_scale > 0. A row with no key gets out = 0, lse = -inf
/// Error     relative RMS against the fp64 reference over the same codes <= 6e-3, lse <= 5e-3 absolute (queries, weights and their
///           products with the scales are f16: a key minimum or a query times a key scale beyond 8188 and a value scale beyond 255 are out of range)
/// Numerics  a row's bits depend on its own cache, and on the number of rows by how many parts it is cut into
/// Cost      one read of the pages that are in use; no allocation; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    KIVI (arXiv 2402.02750): keys grouped along tokens, values along channels
WN_API WnStatus wn_decode_packed(const WnDecodePackedParams* params, void* stream);

/// Bytes of workspace for these params.
WN_API int64_t wn_decode_packed_workspace_bytes(const WnDecodePackedParams* params);

/// Whether pages of these planes can be read: 8, 4 or 2 bits for both; keys along slots by 32 or 64, values along channels by
/// 32; head_dim 64 or 128.
WN_API int32_t wn_decode_packed_takes(const WnPlaneFormat* keys, const WnPlaneFormat* values, int32_t head_dim);

#endif
