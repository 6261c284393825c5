#include <algorithm>
#include <map>

#include "../kernels/packed_page.h"
#include "cache.h"

/// Packed pages of caches: how they come to be, what an op sees that knows elements alone, and what a move leaves of them.
namespace winnow::gpu {

namespace {

Status CheckPlane(const WnPlaneFormat& plane, int32_t width) {
  if (plane.bits != 2 && plane.bits != 4 && plane.bits != 8) return Status::Shape("cacheQuantise.bits", "2, 4 or 8", std::to_string(plane.bits));
  if (plane.along != 0 && plane.along != 1) return Status::Shape("cacheQuantise.along", "0 or 1", std::to_string(plane.along));
  const int32_t length = plane.along == 0 ? kPageSlots : width;
  if (plane.group < 1 || length % plane.group != 0) {
    return Status::Shape("cacheQuantise.group", "a divisor of " + std::to_string(length) + (plane.along == 0 ? " slots" : " channels"),
                         std::to_string(plane.group));
  }
  return {};
}

}  // namespace

int32_t Cache::PackedFormat(int32_t layer) {
  LayerState& state = state_[static_cast<size_t>(layer)];
  if (!state.has_packed) return kNoFormat;
  if (state.format_version == state.table_version) return state.format;
  state.format = kNoFormat;
  for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++)
    for (int32_t entry : head(layer, h).pages) {
      if (entry >= 0 || entry_format(entry) == state.format) continue;
      state.format = state.format == kNoFormat ? entry_format(entry) : kManyFormats;
    }
  state.format_version = state.table_version;
  return state.format;
}

Status CacheStore::Quantise(Cache& cache, int32_t layer, int32_t what, int32_t up_to, const WnPlaneFormat& plane) {
  const LayerGeometry& shape = cache.geometry(layer);
  PagePool& elements = *shape.pool;
  const PageGeometry& widths = elements.geometry();
  WINNOW_TRY(CheckPlane(plane, what == 0 ? widths.head_dim : widths.head_dim_v));
  if (up_to < 0) return Status::Shape("cacheQuantise.upTo", "0 or more slots", std::to_string(up_to));
  std::map<const PagePool*, std::vector<int32_t*>> places;  // by the pool that their page lies in
  int32_t done = kNoFormat;  // a format of pages that are left alone: most of a long cache
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    HeadSlots& head = cache.head(layer, h);
    for (int32_t index = 0; index < std::min(up_to, head.len) / kPageSlots; index++) {
      int32_t& entry = head.pages[static_cast<size_t>(index)];
      if (entry == kReleasedPage || (entry < 0 && entry_format(entry) == done)) continue;
      const PagePool& pool = pools_.Of(elements, entry);
      if (pool.geometry().planes[what].bits == 0) places[&pool].push_back(&entry);
      else done = entry_format(entry);
    }
  }
  for (auto& [pool, entries] : places) {
    std::vector<int32_t> pages, from, to;
    PageGeometry wanted = pool->geometry();
    wanted.planes[what] = plane;
    int32_t number = 0;
    WINNOW_TRY(pools_.Packed(wanted, &number));
    WINNOW_TRY(pools_.packed(number).Take(static_cast<int64_t>(entries.size()), &pages));
    for (size_t i = 0; i < entries.size(); i++) {
      from.push_back(*entries[i]);
      to.push_back(packed_entry(number, pages[i]));
    }
    WINNOW_TRY(pools_.Convert(elements, from, to));
    for (size_t i = 0; i < entries.size(); i++) {
      cache.Release(layer, from[i]);
      *entries[i] = to[i];
    }
    cache.set_has_packed(layer);
    cache.TouchTable(layer);
  }
  return {};
}

Status CacheStore::Unpack(const LayerGeometry& shape, std::vector<int32_t>* table) {
  std::vector<int32_t> from, to;
  std::copy_if(table->begin(), table->end(), std::back_inserter(from), [](int32_t entry) { return entry < 0; });
  if (from.empty()) return {};
  WINNOW_TRY(shape.pool->Borrow(static_cast<int64_t>(from.size()), &to));
  size_t next = 0;
  for (int32_t& entry : *table)
    if (entry < 0) entry = to[next++];
  return pools_.Convert(*shape.pool, from, to);
}

Status CacheStore::View(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots,
                        WnCacheView* out, int64_t first_page) {
  WINNOW_TRY(batches_.View(caches, ids, layer, new_slots, out));
  const bool has_packed = std::any_of(caches.begin(), caches.end(), [=](const Cache* cache) { return cache->has_packed(layer); });
  if (!has_packed || new_slots > 0) return {};
  const LayerGeometry& shape = caches[0]->geometry(layer);
  const auto heads = static_cast<size_t>(shape.num_kv_heads), stride = static_cast<size_t>(out->page_table_stride);
  std::vector<int32_t> table(caches.size() * heads * stride, kReleasedPage);
  for (size_t row = 0; row < caches.size(); row++)
    for (size_t h = 0; h < heads; h++) {
      const std::vector<int32_t>& own = caches[row]->head(layer, static_cast<int32_t>(h)).pages;
      const auto skipped = static_cast<int64_t>(std::min<size_t>(own.size(), static_cast<size_t>(first_page)));
      std::copy(own.begin() + skipped, own.end(), table.begin() + static_cast<int64_t>((row * heads + h) * stride) + skipped);
    }
  WINNOW_TRY(Unpack(shape, &table));
  WINNOW_TRY(unpacked_.Need(table.size() * 4));
  out->page_table = unpacked_.as<int32_t>();
  return device_->CopyUp(unpacked_.data(), table.data(), table.size() * 4);
}

Status CacheStore::PackedView(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots,
                              WnCacheView* out) {
  WINNOW_TRY(batches_.View(caches, ids, layer, new_slots, out));
  out->formats = pools_.formats();
  return {};
}

Status CacheStore::KeepPacked(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, int64_t capacity, std::vector<Kept> kept) {
  std::vector<int32_t> lists(static_cast<size_t>(capacity) * (stride == 0 ? 1 : kept.size()));
  if (!lists.empty()) WINNOW_TRY(device_->CopyDown(lists.data(), slots, lists.size() * 4));
  for (size_t h = 0; h < kept.size(); h++) {
    const int32_t* own = lists.data() + static_cast<int64_t>(h) * stride;
    const int32_t len = cache.head(layer, static_cast<int32_t>(h)).len;
    for (int32_t i = 0; i < kept[h].count; i++) {
      if (own[i] < (i == 0 ? 0 : own[i - 1] + 1) || own[i] >= len) {
        return Status::Shape("cacheKeep.slots", "ascending slots below " + std::to_string(len), "others in KV head " + std::to_string(h));
      }
    }
  }
  bool moves = false;
  std::vector<int32_t> moved(static_cast<size_t>(capacity) * kept.size());
  for (size_t h = 0; h < kept.size(); h++) {
    const int32_t* own = lists.data() + static_cast<int64_t>(h) * stride;
    const int32_t count = kept[h].count;
    if (count < 0) continue;
    int32_t same = 0;
    while (same < count && own[same] == same) same++;
    if (same == count) {
      cache.Truncate(layer, static_cast<int32_t>(h), count);
      kept[h].count = -1;
      continue;
    }
    const int32_t first = same / kPageSlots * kPageSlots;
    kept[h] = {same / kPageSlots, count - first};
    std::copy(own + first, own + count, moved.begin() + static_cast<int64_t>(h) * capacity);
    moves = true;
  }
  if (!moves) return {};
  WINNOW_TRY(scratch_.Need(moved.size() * 4));
  WINNOW_TRY(device_->CopyUp(scratch_.data(), moved.data(), moved.size() * 4));
  return Gather(cache, layer, scratch_.as<int32_t>(), capacity, kept);
}

}  // namespace winnow::gpu
