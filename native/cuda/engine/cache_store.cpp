#include <algorithm>
#include <string>

#include "cache.h"
#include "winnow_cuda/gather_compact.h"

namespace winnow::gpu {

Status CacheStore::AddLayout(const std::vector<int32_t>& num_kv_heads, const std::vector<int32_t>& head_dim,
                             const std::vector<int32_t>& head_dim_v, int32_t* out) {
  const size_t layers = num_kv_heads.size();
  if (layers == 0 || head_dim.size() != layers || head_dim_v.size() != layers) {
    return Status::Shape("cacheLayout", "three lists of one length, one entry a layer",
                         std::to_string(layers) + ", " + std::to_string(head_dim.size()) + ", " + std::to_string(head_dim_v.size()));
  }
  auto layout = std::make_shared<CacheLayout>();
  for (size_t layer = 0; layer < layers; layer++) {
    const int32_t dim = head_dim[layer];
    if (num_kv_heads[layer] < 0 || num_kv_heads[layer] > 4096) {
      return Status::Shape("cacheLayout.numKvHeads", "0 to 4096 heads", std::to_string(num_kv_heads[layer]));
    }
    if (dim < 8 || dim > 256 || dim % 8 != 0) return Status::Shape("cacheLayout.headDim", "a multiple of 8 from 8 to 256", std::to_string(dim));
    if (dim != head_dim_v[layer]) {
      return Status::Fail(Code::kUnsupported, "cacheLayout.headDimV", "values as wide as keys (" + std::to_string(dim) + ") on cuda",
                          std::to_string(head_dim_v[layer]), "Use --backend cpu.");
    }
    layout->layers.push_back({num_kv_heads[layer], dim, layout->total_heads, pools_.Elements(dim, head_dim_v[layer]), &pools_});
    layout->total_heads += num_kv_heads[layer];
    if (num_kv_heads[layer] > 0) layout->last_with_heads = static_cast<int32_t>(layer);
  }
  layouts_.push_back(std::move(layout));
  *out = static_cast<int32_t>(layouts_.size());
  return {};
}

Status CacheStore::Create(int32_t layout, int32_t* out) {
  if (layout < 1 || layout > static_cast<int32_t>(layouts_.size())) {
    return Status::Shape("cacheCreate.layout", "an id of cacheLayout", std::to_string(layout));
  }
  *out = next_id_++;
  caches_[*out] = std::make_unique<Cache>(layouts_[static_cast<size_t>(layout) - 1]);
  return {};
}

Status CacheStore::Fork(int32_t cache, int32_t* out) {
  Cache* from = nullptr;
  WINNOW_TRY(Get(cache, "cacheFork.cache", &from));
  std::unique_ptr<Cache> fork = from->Fork();
  *out = next_id_++;
  caches_[*out] = std::move(fork);
  return {};
}

Status CacheStore::Free(int32_t cache) {
  Cache* found = nullptr;
  WINNOW_TRY(Get(cache, "cacheFree.cache", &found));
  batches_.Forget(cache);
  caches_.erase(cache);
  return {};
}

Status CacheStore::Get(int64_t cache, const char* where, Cache** out) const {
  auto found = cache > 0 && cache <= INT32_MAX ? caches_.find(static_cast<int32_t>(cache)) : caches_.end();
  if (found == caches_.end()) return Status::Shape(where, "the id of a live cache", std::to_string(cache));
  *out = found->second.get();
  return {};
}

Status CacheStore::CopyPages(PagePool& pool, const std::vector<int32_t>& from, const std::vector<int32_t>& to) {
  if (from.empty()) return {};
  const std::vector<int32_t> counts(from.size(), kPageSlots);
  const WnGatherCompactParams params{.source = pool.pages(),
                                     .source_table = device_->Stage(from.data(), from.size()),
                                     .indices = nullptr,
                                     .counts = device_->Stage(counts.data(), counts.size()),
                                     .target = pool.pages(),
                                     .target_table = device_->Stage(to.data(), to.size()),
                                     .source_bias = pool.bias(),
                                     .target_bias = pool.bias(),
                                     .num_rows = static_cast<int32_t>(from.size()),
                                     .head_dim = pool.head_dim(),
                                     .source_stride = 1,
                                     .target_stride = 1,
                                     .indices_stride = 0,
                                     .max_count = kPageSlots,
                                     .positions = pool.positions(),
                                     .slot_counts = pool.counts()};
  return FromWn(wn_gather_compact(&params, device_->stream()), "cache");
}

Status CacheStore::OwnPage(Cache& cache, int32_t layer, int32_t* entry) {
  if (*entry >= 0 && !cache.IsShared(layer, *entry)) return {};
  PagePool& pool = *cache.geometry(layer).pool;
  std::vector<int32_t> fresh;
  WINNOW_TRY(pool.Take(1, &fresh));
  if (*entry < 0) WINNOW_TRY(pools_.Convert(pool, {*entry}, fresh));
  else WINNOW_TRY(CopyPages(pool, {*entry}, fresh));
  cache.Release(layer, *entry);
  *entry = fresh[0];
  cache.TouchTable(layer);
  return {};
}

Status CacheStore::GrowHeads(Cache& cache, int32_t layer, const std::vector<int32_t>& more) {
  PagePool& pool = *cache.geometry(layer).pool;
  int64_t needed = 0;
  std::vector<int32_t> shared;
  for (size_t h = 0; h < more.size(); h++) {
    HeadSlots& slots = cache.head(layer, static_cast<int32_t>(h));
    if (more[h] > INT32_MAX - kPageSlots - slots.len) return Status::Shape("cache", "fewer than 2^31 slots", std::to_string(more[h]) + " more");
    if (more[h] == 0) continue;
    needed += PagesFor(slots.len + more[h]) - static_cast<int64_t>(slots.pages.size());
    if (slots.len % kPageSlots == 0) continue;
    if (slots.pages.back() < 0) WINNOW_TRY(OwnPage(cache, layer, &slots.pages.back()));
    if (pool.IsShared(slots.pages.back())) shared.push_back(slots.pages.back());
  }
  std::vector<int32_t> fresh;
  if (needed + static_cast<int64_t>(shared.size()) > 0) {
    WINNOW_TRY(pool.Take(needed + static_cast<int64_t>(shared.size()), &fresh));
    cache.TouchTable(layer);
  }
  const std::vector<int32_t> own(fresh.begin(), fresh.begin() + static_cast<int64_t>(shared.size()));
  WINNOW_TRY(CopyPages(pool, shared, own));
  size_t next_own = 0, next = shared.size();
  for (size_t h = 0; h < more.size(); h++) {
    if (more[h] == 0) continue;
    HeadSlots& slots = cache.head(layer, static_cast<int32_t>(h));
    if (next_own < own.size() && slots.len % kPageSlots != 0 && slots.pages.back() == shared[next_own]) {
      pool.Release(slots.pages.back());
      slots.pages.back() = own[next_own++];
    }
    slots.len += more[h];
    while (static_cast<int32_t>(slots.pages.size()) < PagesFor(slots.len)) slots.pages.push_back(fresh[next++]);
  }
  return {};
}

/// Where every head has room on a last page of its own, as in most steps.
bool CacheStore::GrowInPlace(Cache& cache, int32_t layer, int32_t count) {
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  for (int32_t h = 0; h < heads; h++) {
    const HeadSlots& slots = cache.head(layer, h);
    if (slots.len % kPageSlots == 0 || count > kPageSlots - slots.len % kPageSlots) return false;
    if (slots.pages.back() < 0 || cache.IsShared(layer, slots.pages.back())) return false;
  }
  for (int32_t h = 0; h < heads; h++) cache.head(layer, h).len += count;
  return true;
}

Status CacheStore::Grow(const std::vector<Cache*>& caches, int32_t layer, int32_t count) {
  for (Cache* cache : caches) {
    if (GrowInPlace(*cache, layer, count)) continue;
    WINNOW_TRY(GrowHeads(*cache, layer, std::vector<int32_t>(static_cast<size_t>(cache->geometry(layer).num_kv_heads), count)));
  }
  return {};
}

Status CacheStore::Gather(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, const std::vector<Kept>& kept) {
  const LayerGeometry& shape = cache.geometry(layer);
  PagePool& pool = *shape.pool;
  size_t source_stride = 1, target_stride = 1;
  int64_t needed = 0;
  for (size_t h = 0; h < kept.size(); h++) {
    source_stride = std::max(source_stride, cache.head(layer, static_cast<int32_t>(h)).pages.size());
    if (kept[h].count <= 0) continue;
    target_stride = std::max(target_stride, static_cast<size_t>(PagesFor(kept[h].count)));
    needed += PagesFor(kept[h].count);
  }
  std::vector<int32_t> fresh;
  WINNOW_TRY(pool.Take(needed, &fresh));
  std::vector<int32_t> source(kept.size() * source_stride, kReleasedPage), target(kept.size() * target_stride, kReleasedPage),
      taken(kept.size(), 0);
  size_t next = 0;
  for (size_t h = 0; h < kept.size(); h++) {
    if (kept[h].count <= 0) continue;
    const std::vector<int32_t>& pages = cache.head(layer, static_cast<int32_t>(h)).pages;
    // Pages that stay are not read, so they need not be unpacked.
    std::copy(pages.begin() + kept[h].pages, pages.end(), source.begin() + static_cast<int64_t>(h * source_stride) + kept[h].pages);
    for (int32_t i = 0; i < PagesFor(kept[h].count); i++) target[h * target_stride + static_cast<size_t>(i)] = fresh[next++];
    taken[h] = kept[h].count;
  }
  if (needed > 0) {
    WINNOW_TRY(Unpack(shape, &source));
    const WnGatherCompactParams params{.source = pool.pages(),
                                       .source_table = device_->Stage(source.data(), source.size()),
                                       .indices = slots,
                                       .counts = device_->Stage(taken.data(), taken.size()),
                                       .target = pool.pages(),
                                       .target_table = device_->Stage(target.data(), target.size()),
                                       .source_bias = pool.bias(),
                                       .target_bias = pool.bias(),
                                       .num_rows = static_cast<int32_t>(kept.size()),
                                       .head_dim = pool.head_dim(),
                                       .source_stride = static_cast<int32_t>(source_stride),
                                       .target_stride = static_cast<int32_t>(target_stride),
                                       .indices_stride = static_cast<int32_t>(stride),
                                       .max_count = *std::max_element(taken.begin(), taken.end()),
                                       .positions = pool.positions(),
                                       .slot_counts = pool.counts()};
    WINNOW_TRY(FromWn(wn_gather_compact(&params, device_->stream()), "cacheKeep"));
  }
  for (size_t h = 0; h < kept.size(); h++) {
    if (kept[h].count < 0) continue;
    HeadSlots& head = cache.head(layer, static_cast<int32_t>(h));
    const auto moved = head.pages.begin() + kept[h].pages;
    for (auto page = moved; page != head.pages.end(); ++page) cache.Release(layer, *page);
    head.pages.erase(moved, head.pages.end());
    const auto first = target.begin() + static_cast<int64_t>(h * target_stride);
    head.pages.insert(head.pages.end(), first, first + PagesFor(kept[h].count));
    head.len = kept[h].pages * kPageSlots + kept[h].count;
    head.known_page = kReleasedPage;
  }
  cache.TouchTable(layer);
  return {};
}

Status CacheStore::Keep(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, int64_t capacity, const int32_t* lens) {
  std::vector<Kept> kept(static_cast<size_t>(cache.geometry(layer).num_kv_heads), {0, -1});
  bool moves = false;
  for (size_t h = 0; h < kept.size(); h++) {
    const int32_t len = cache.head(layer, static_cast<int32_t>(h)).len;
    if (lens[h] < -1 || lens[h] > std::min<int64_t>(capacity, len)) {
      return Status::Shape("cacheKeep.lens", "-1 to " + std::to_string(std::min<int64_t>(capacity, len)) + " slots in KV head " + std::to_string(h),
                           std::to_string(lens[h]));
    }
    // As many slots as there are, ascending: all of them.
    if (lens[h] != len) kept[h].count = lens[h];
    moves = moves || kept[h].count >= 0;
  }
  if (!moves) return {};
  return cache.has_packed(layer) ? KeepPacked(cache, layer, slots, stride, capacity, kept) : Gather(cache, layer, slots, stride, kept);
}

Status CacheStore::DropLast(Cache& cache, int32_t count) {
  if (count < 0) return Status::Shape("cacheDropLast.count", "0 or more slots", std::to_string(count));
  for (const HeadSlots& head : cache.heads()) {
    if (head.len < count) {
      return Status::Shape("cacheDropLast.count", "at most " + std::to_string(head.len) + " slots (the shortest head)", std::to_string(count));
    }
  }
  const auto& layers = cache.layout().layers;
  for (int32_t layer = 0; layer < static_cast<int32_t>(layers.size()); layer++)
    for (int32_t h = 0; h < layers[static_cast<size_t>(layer)].num_kv_heads; h++) cache.Truncate(layer, h, cache.head(layer, h).len - count);
  return {};
}

void CacheStore::PoisonFreedPages(bool on) { pools_.set_poison(on); }

int64_t CacheStore::live_bytes() const { return pools_.live_bytes(); }

}  // namespace winnow::gpu
