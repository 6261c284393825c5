#include "reference.h"

namespace winnow {

void cache_insert_ref(const WnCacheInsertParams& p) {
  const WnCacheView& cache = p.cache;
  auto* pages = static_cast<uint16_t*>(cache.pages);
  for (int64_t head = 0; head < cache.num_kv_heads; head++)
    for (int64_t i = 0; i < p.num_entries; i++) {
      const int64_t entry = head * p.num_entries + i, slot = p.slots[entry];
      if (slot < 0) continue;
      const int64_t page = cache.page_table[head * cache.page_table_stride + slot / 64], at = page * 64 + slot % 64;
      for (int d = 0; d < cache.head_dim; d++) {
        pages[(page * 128 + slot % 64) * cache.head_dim + d] = to_bf16(p.keys[entry * cache.head_dim + d]);
        pages[(page * 128 + 64 + slot % 64) * cache.head_dim + d] = to_bf16(p.values[entry * cache.head_dim + d]);
      }
      cache.positions[at] = p.positions[entry];
      cache.counts[at] = p.counts[entry];
      cache.log_bias[at] = p.bias[entry];
    }
}

}  // namespace winnow
