#include "caches.h"

#include <algorithm>

namespace winnow::gpu {

Cache& CacheOf(const Call& call, int i, const char* what) {
  Cache* found = nullptr;
  call.Check(EngineOf(call).caches.Get(call.Int(i, what, 0, INT32_MAX), (std::string(call.name) + "." + what).c_str(), &found));
  return *found;
}

int32_t LayerOf(const Call& call, int i, const Cache& cache) {
  return static_cast<int32_t>(call.Int(i, "layer", 0, static_cast<int64_t>(cache.layout().layers.size()) - 1));
}

int32_t CacheList::MaxLen() const {
  int32_t longest = 0;
  for (const Cache* cache : caches) longest = std::max(longest, cache->MaxLen(layer));
  return longest;
}

CacheList CachesOf(const Call& call, int i, int layer_argument, bool allows_none) {
  const Span<const int32_t> ids = call.Ints(i, "caches");
  if (ids.size < 1) call.Refuse("caches", "at least one cache", "none");
  CacheList list;
  list.ids.assign(ids.data, ids.data + ids.size);
  const std::string where = std::string(call.name) + ".caches";
  list.caches.reserve(list.ids.size());
  for (int32_t id : list.ids) {
    Cache* found = nullptr;
    call.Check(EngineOf(call).caches.Get(id, where.c_str(), &found));
    list.caches.push_back(found);
  }
  list.layer = LayerOf(call, layer_argument, *list.caches[0]);
  if (!allows_none && list.geometry().num_kv_heads == 0) call.Refuse("layer", "a layer with KV heads", "one without");
  for (const Cache* cache : list.caches) {
    if (&cache->layout() != &list.caches[0]->layout()) call.Refuse("caches", "caches of one layout", "caches of several");
  }
  return list;
}

WnCacheView ViewOf(const Call& call, const CacheList& list, int32_t new_slots, int64_t first_page) {
  WnCacheView view{};
  call.Check(EngineOf(call).caches.View(list.caches, list.ids, list.layer, new_slots, &view, first_page));
  return view;
}

int32_t QueryHeadsOf(const Call& call, int64_t width, const LayerGeometry& geometry) {
  const int64_t heads = width / geometry.head_dim;
  if (geometry.num_kv_heads == 0) call.Refuse("layer", "a layer with KV heads", "one without");
  if (heads < 1 || width % geometry.head_dim != 0 || heads % geometry.num_kv_heads != 0 || heads > (1 << 20)) {
    call.Refuse("q",
                "rows of query heads of " + std::to_string(geometry.head_dim) + " channels, a multiple of " +
                    std::to_string(geometry.num_kv_heads) + " heads",
                std::to_string(width) + " channels");
  }
  return static_cast<int32_t>(heads);
}

void CountPages(const Call& call) { call.runtime.memory.cache_bytes = EngineOf(call).caches.live_bytes(); }

std::vector<int32_t> ReadInts(const Call& call, const Tensor& t) {
  if (const Fact* fact = EngineOf(call).known.Find(t, Known::kValues)) return fact->first;
  std::vector<int32_t> values(static_cast<size_t>(t.size()));
  if (!values.empty()) call.Check(DeviceOf(call).CopyDown(values.data(), t.data, values.size() * 4));
  return values;
}

}  // namespace winnow::gpu
