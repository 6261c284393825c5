#ifndef WINNOW_CUDA_CACHE_VIEW_H
#define WINNOW_CUDA_CACHE_VIEW_H

#include "page_format.h"

/// One layer of the paged caches of `rows` sequences, as scores and appends see it.
///
/// Shapes    pages       paged cache (see WN_PAGE_SIZE), 16-byte aligned
///           page_table  [rows, num_kv_heads, page_table_stride]  int32; below 0 packed pages, for operations that take formats
///           kv_lens     [rows, num_kv_heads]  int32
///           positions   [pages, 64]  int32, position of each slot in the text; null where an operation needs none
///           counts      [pages, 64]  int32, tokens that a slot stands for; null likewise
///           log_bias    [pages, 64]  f32, nats, added to logits; null = none
///           formats     of packed pages (see WnPageFormat), on the device; null where the table names none
/// Limits    head_dim a multiple of 8, at most 256
typedef struct WnCacheView {
  void* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  int32_t* positions;
  int32_t* counts;
  float* log_bias;
  int32_t rows, num_kv_heads, head_dim, page_table_stride;
  const WnPageFormat* formats;
} WnCacheView;

/// How scores of query heads become lists: none gives num_query_heads lists, mean, sum and max one per KV head, all one.
enum { WN_GQA_NONE = 0, WN_GQA_MEAN = 1, WN_GQA_SUM = 2, WN_GQA_MAX = 3, WN_GQA_ALL = 4 };

#endif
