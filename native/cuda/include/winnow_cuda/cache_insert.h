#ifndef WINNOW_CUDA_CACHE_INSERT_H
#define WINNOW_CUDA_CACHE_INSERT_H

#include "cache_view.h"

typedef struct WnCacheInsertParams {
  WnCacheView cache;
  const float* keys;
  const float* values;
  const int32_t* positions;
  const int32_t* counts;
  const float* bias;
  const int32_t* slots;
  int32_t num_entries;
} WnCacheInsertParams;

/// Write entries made elsewhere into slots of one row of a paged cache.
///
/// Shapes    keys, values  [num_kv_heads, num_entries, head_dim]  f32, rounded to bf16
///           positions, counts, bias  [num_kv_heads, num_entries]  int32, int32, f32
///           slots         [num_kv_heads, num_entries]  int32 slot of an entry, -1 = none; within the page table
///           cache         rows 1, positions, counts and log_bias given; kv_lens are not read
/// Limits    num_entries >= 1
/// Error     exact (rounding to nearest even)
/// Cost      12 * head_dim bytes moved per entry; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_cache_insert(const WnCacheInsertParams* params, void* stream);

#endif
