#ifndef WINNOW_CUDA_CACHE_WRITE_H
#define WINNOW_CUDA_CACHE_WRITE_H

#include "status.h"

typedef struct WnCacheWriteParams {
  const void* k;
  const void* v;
  void* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  int64_t token_stride;  ///< elements between tokens of k and of v
  int32_t batch, num_tokens, num_kv_heads, head_dim, page_table_stride;
} WnCacheWriteParams;

/// Write new keys and values behind what each row and KV head of a paged cache already holds.
///
///   slot kv_lens[b, g] + t of (b, g) = k, v [b * num_tokens + t, g],   t < num_tokens
///
/// Shapes    k, v        [batch * num_tokens] tokens of [num_kv_heads, head_dim] at token_stride, bf16, 16-byte aligned
///           pages       paged cache (see WN_PAGE_SIZE)
///           page_table  [batch, num_kv_heads, page_table_stride]  int32
///           kv_lens     [batch, num_kv_heads]  int32, lengths before the write; not changed
/// Limits    head_dim and token_stride multiples of 8
/// Error     exact
/// Cost      8 * head_dim bytes moved per token and KV head; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_cache_write(const WnCacheWriteParams* params, void* stream);

#endif
