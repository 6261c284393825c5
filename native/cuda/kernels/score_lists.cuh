/// Lists that scores of query heads become.
#ifndef WINNOW_CUDA_SCORE_LISTS_CUH
#define WINNOW_CUDA_SCORE_LISTS_CUH

#include "device.cuh"
#include "winnow_cuda/cache_view.h"

namespace winnow {

WN_HD int lists_after(int gqa, int num_query_heads, int num_kv_heads) {
  return gqa == WN_GQA_NONE ? num_query_heads : gqa == WN_GQA_ALL ? 1 : num_kv_heads;
}

/// Value of a list from value(head) of the `together` query heads from `first` on.
template <typename Value>
WN_DEVICE float reduce_group(int gqa, int first, int together, Value value) {
  float result = value(first);
  for (int h = first + 1; h < first + together; h++) {
    const float next = value(h);
    result = gqa == WN_GQA_MAX ? fmaxf(result, next) : result + next;
  }
  return gqa == WN_GQA_MEAN || gqa == WN_GQA_ALL ? result / static_cast<float>(together) : result;
}

/// Slot of the arena (page * 64 + place) that holds slot `slot` of list (row, head).
WN_DEVICE int64_t arena_slot(const WnCacheView& cache, int64_t list, int slot) {
  return static_cast<int64_t>(cache.page_table[list * cache.page_table_stride + slot / 64]) * 64 + slot % 64;
}
/// Element where the key (what 0) or value (1) of an arena slot begins.
WN_DEVICE const __nv_bfloat16* arena_row(const WnCacheView& cache, int64_t slot, int what) {
  return static_cast<const __nv_bfloat16*>(cache.pages) + (slot / 64 * 128 + 64 * what + slot % 64) * cache.head_dim;
}
inline bool is_cache_view(const WnCacheView& cache) {
  return cache.pages && cache.page_table && cache.kv_lens && aligned(cache.pages, 16) && cache.rows > 0 && cache.rows <= 65535 &&
         cache.num_kv_heads > 0 && cache.num_kv_heads <= 65535 && cache.head_dim > 0 && cache.head_dim <= 256 &&
         cache.head_dim % 8 == 0;
}

}  // namespace winnow

#endif
