#include <algorithm>

#include "cache.h"

/// Eviction of a few slots, as after every step of a method that holds a budget.
namespace winnow::gpu {

Status CacheStore::KeepInPlace(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer,
                               const WnCompactSlotsParams& lists, const std::vector<int32_t>& counts, bool* is_done) {
  *is_done = false;
  const LayerGeometry& shape = caches[0]->geometry(layer);
  const auto heads = static_cast<size_t>(shape.num_kv_heads);
  auto count_of = [&](size_t row, size_t head) { return counts[lists.one_list_per_row ? row : row * heads + head]; };
  bool has_bias = false;
  for (size_t row = 0; row < caches.size(); row++) {
    const Cache& cache = *caches[row];
    if (cache.has_packed(layer) || std::count(ids.begin(), ids.end(), ids[row]) > 1) return {};
    has_bias = has_bias || cache.has_bias(layer);
    for (size_t h = 0; h < heads; h++) {
      const HeadSlots& head = cache.head(layer, static_cast<int32_t>(h));
      const int32_t count = count_of(row, h);
      // Where much leaves, the pages of the front are no cheaper than new ones, and lens that do not fit are refused there.
      if (count >= 0 && (count > head.len || count > lists.slots_stride || head.len - count > head.len / 2)) return {};
      if (count < -1) return {};
      if (count < 0 || count == head.len) continue;
      if (std::any_of(head.pages.begin(), head.pages.end(), [&](int32_t page) { return cache.IsShared(layer, page); })) return {};
    }
  }
  WnCompactSlotsParams params = lists;
  WINNOW_TRY(View(caches, ids, layer, 0, &params.cache));
  if (!has_bias) params.cache.log_bias = nullptr;  // all are 0
  WINNOW_TRY(FromWn(wn_compact_slots(&params, device_->stream()), "cacheKeep"));
  for (size_t row = 0; row < caches.size(); row++)
    for (size_t h = 0; h < heads; h++)
      if (count_of(row, h) >= 0) caches[row]->Truncate(layer, static_cast<int32_t>(h), count_of(row, h));
  *is_done = true;
  return {};
}

}  // namespace winnow::gpu
