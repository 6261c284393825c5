#include <cstring>

#include "reference.h"

namespace winnow {

void compact_slots_ref(const WnCompactSlotsParams& p) {
  const WnCacheView& cache = p.cache;
  for (int64_t segment = 0; segment < static_cast<int64_t>(cache.rows) * cache.num_kv_heads; segment++) {
    const int64_t list = p.one_list_per_row ? segment / cache.num_kv_heads : segment;
    for (int32_t i = 0; i < p.lens[list]; i++) {
      const int64_t from = arena_slot(cache, segment, p.slots[list * p.slots_stride + i]), to = arena_slot(cache, segment, i);
      if (from == to) continue;
      auto* pages = static_cast<uint16_t*>(cache.pages);
      for (int what : {0, 1}) {
        std::memcpy(pages + arena_element(cache, to, what), pages + arena_element(cache, from, what), sizeof(uint16_t) * cache.head_dim);
      }
      cache.positions[to] = cache.positions[from];
      cache.counts[to] = cache.counts[from];
      if (cache.log_bias) cache.log_bias[to] = cache.log_bias[from];
    }
  }
}

}  // namespace winnow
