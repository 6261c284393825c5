#include <algorithm>

#include "cache.h"

namespace winnow::gpu {

namespace {

/// Pages of one launch: their tables have to fit the staging area.
constexpr size_t kMostPages = 32768;

}  // namespace

/// A fork whose pages are then replaced, layer by layer: when memory is out it goes, with what it took.
Status CacheStore::Copy(int32_t cache, int32_t* out) {
  Cache* from = nullptr;
  WINNOW_TRY(Get(cache, "cacheCopy.cache", &from));
  std::unique_ptr<Cache> copy = from->Fork();
  for (int32_t layer = 0; layer < static_cast<int32_t>(copy->layout().layers.size()); layer++) {
    const LayerGeometry& geometry = copy->geometry(layer);
    PagePool& elements = *geometry.pool;
    std::vector<int32_t*> places;
    for (int32_t h = 0; h < geometry.num_kv_heads; h++)
      for (int32_t& page : copy->head(layer, h).pages)
        if (page != kReleasedPage) places.push_back(&page);
    for (size_t first = 0; first < places.size(); first += kMostPages) {
      const size_t count = std::min(kMostPages, places.size() - first);
      std::vector<int32_t> shared(count), own;
      for (size_t i = 0; i < count; i++) shared[i] = *places[first + i];
      WINNOW_TRY(pools_.TakeAlike(elements, shared, &own));
      for (size_t i = 0; i < count; i++) {
        copy->Release(layer, shared[i]);
        *places[first + i] = own[i];
      }
      WINNOW_TRY(pools_.Convert(elements, shared, own));
    }
    copy->TouchTable(layer);
  }
  *out = next_id_++;
  caches_[*out] = std::move(copy);
  return {};
}

}  // namespace winnow::gpu
