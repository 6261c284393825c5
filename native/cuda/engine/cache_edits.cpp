#include <algorithm>
#include <map>

#include "../kernels/packed_page.h"
#include "cache.h"

/// Slots merged into others, slots moved to other positions, and keys of some channels.
namespace winnow::gpu {

namespace {

/// Pages of one launch: their tables have to fit the staging area.
constexpr size_t kMostPages = 32768;

std::string InHead(int32_t head) { return " in KV head " + std::to_string(head); }

}  // namespace

Status CacheStore::OwnPages(Cache& cache, int32_t layer, const std::vector<int32_t>& counts) {
  PagePool& pool = *cache.geometry(layer).pool;
  std::vector<int32_t*> places;
  for (size_t h = 0; h < counts.size(); h++) {
    if (counts[h] <= 0) continue;
    for (int32_t& entry : cache.head(layer, static_cast<int32_t>(h)).pages)
      if (entry < 0 || (entry != kReleasedPage && cache.IsShared(layer, entry))) places.push_back(&entry);
  }
  for (size_t first = 0; first < places.size(); first += kMostPages) {
    const size_t count = std::min(kMostPages, places.size() - first);
    std::vector<int32_t> from(count), own;
    for (size_t i = 0; i < count; i++) from[i] = *places[first + i];
    WINNOW_TRY(pool.Take(static_cast<int64_t>(count), &own));
    WINNOW_TRY(pools_.Convert(pool, from, own));
    for (size_t i = 0; i < count; i++) {
      cache.Release(layer, from[i]);
      *places[first + i] = own[i];
    }
  }
  if (!places.empty()) cache.TouchTable(layer);
  return {};
}

Status CacheStore::ReadReport(int32_t heads, std::vector<int32_t>* counts, std::vector<int32_t>* faults) {
  std::vector<int32_t> report(static_cast<size_t>(2 * heads));
  WINNOW_TRY(device_->CopyDown(report.data(), scratch_.data(), report.size() * 4));
  counts->assign(report.begin(), report.begin() + heads);
  faults->assign(report.begin() + heads, report.end());
  return {};
}

Status CacheStore::Merge(Cache& cache, int32_t layer, WnCacheMergeParams edit) {
  const LayerGeometry& shape = cache.geometry(layer);
  const int32_t heads = shape.num_kv_heads;
  if (cache.MaxLen(layer) == 0) return {};
  WINNOW_TRY(scratch_.Need(static_cast<size_t>(heads) * 8));
  WINNOW_TRY(PackedView({&cache}, {}, layer, 0, &edit.cache));  // the check reads no page
  edit.report = scratch_.as<int32_t>();
  WINNOW_TRY(FromWn(wn_cache_merge_check(&edit, device_->stream()), "cacheMerge"));
  std::vector<int32_t> counts, faults;
  WINNOW_TRY(ReadReport(heads, &counts, &faults));
  for (int32_t h = 0; h < heads; h++) {
    const int32_t fault = faults[static_cast<size_t>(h)], place = fault / WN_FAULT_KINDS;
    if (fault < 0) continue;
    if (fault == WN_FAULT_LENS) {
      return Status::Shape("cacheMerge.lens", "-1 to " + std::to_string(edit.stride) + " entries" + InHead(h),
                           std::to_string(counts[static_cast<size_t>(h)]));
    }
    const int64_t at = int64_t{h} * edit.stride + place;
    const std::string below = "slots below " + std::to_string(cache.head(layer, h).len);
    if (fault % WN_FAULT_KINDS == WN_FAULT_AMOUNT) {
      float weight = 0;
      WINNOW_TRY(device_->CopyDown(&weight, edit.weight + at, 4));
      return Status::Shape("cacheMerge.weight", "finite weights of 0 or more" + InHead(h), std::to_string(weight));
    }
    const bool is_target = fault % WN_FAULT_KINDS == WN_FAULT_TARGET;
    int32_t slot = 0;
    WINNOW_TRY(device_->CopyDown(&slot, (is_target ? edit.into : edit.from) + at, 4));
    if (is_target) return Status::Shape("cacheMerge.into", "-1 or " + below + " that are no source" + InHead(h), std::to_string(slot));
    return Status::Shape("cacheMerge.from", below + " that do not descend" + InHead(h), std::to_string(slot));
  }
  edit.max_count = std::max(0, *std::max_element(counts.begin(), counts.end()));
  if (edit.max_count == 0) return {};
  WINNOW_TRY(OwnPages(cache, layer, counts));
  if (edit.bias != WN_MERGE_BIAS_NONE) cache.set_has_bias(layer);
  edit.workspace_bytes = wn_cache_merge_workspace_bytes(&edit);
  WINNOW_TRY(scratch_.Need(static_cast<size_t>(edit.workspace_bytes)));
  edit.workspace = scratch_.data();
  WINNOW_TRY(View(cache, layer, &edit.cache));
  edit.cache.log_bias = shape.pool->bias();
  edit.frozen_page = kReleasedPage;
  return FromWn(wn_cache_merge(&edit, device_->stream()), "cacheMerge");
}

Status CacheStore::Rotate(Cache& cache, int32_t layer, WnCacheRotateParams edit) {
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  if (cache.MaxLen(layer) == 0) return {};
  WINNOW_TRY(scratch_.Need(static_cast<size_t>(heads) * 8));
  WINNOW_TRY(View(cache, layer, &edit.cache));
  edit.report = scratch_.as<int32_t>();
  WINNOW_TRY(FromWn(wn_cache_rotate_check(&edit, device_->stream()), "cacheRotate"));
  std::vector<int32_t> counts, faults;
  WINNOW_TRY(ReadReport(heads, &counts, &faults));
  for (int32_t h = 0; h < heads; h++) {
    const int32_t fault = faults[static_cast<size_t>(h)];
    if (fault < 0) continue;
    if (fault == WN_FAULT_LENS) {
      return Status::Shape("cacheRotate.lens", "-1 to " + std::to_string(edit.stride) + " slots" + InHead(h),
                           std::to_string(counts[static_cast<size_t>(h)]));
    }
    const bool is_slot = fault % WN_FAULT_KINDS == WN_FAULT_SLOT;
    int32_t value = 0;
    const int64_t at = int64_t{h} * edit.stride + fault / WN_FAULT_KINDS;
    WINNOW_TRY(device_->CopyDown(&value, (is_slot ? edit.slots : edit.delta) + at, 4));
    if (is_slot) {
      return Status::Shape("cacheRotate.slots", "ascending slots below " + std::to_string(cache.head(layer, h).len) + InHead(h), std::to_string(value));
    }
    const std::string most = edit.cos_sin == nullptr ? "" : " by less than " + std::to_string(edit.max_positions);
    return Status::Shape("cacheRotate.delta", "a move to a position of 0 or more" + most + InHead(h), "by " + std::to_string(value));
  }
  edit.max_count = *std::max_element(counts.begin(), counts.end());
  if (edit.max_count == 0) return {};
  WINNOW_TRY(OwnPages(cache, layer, counts));
  for (int32_t h = 0; h < heads; h++) cache.head(layer, h).known_page = kReleasedPage;
  WINNOW_TRY(View(cache, layer, &edit.cache));
  edit.frozen_page = kReleasedPage;
  return FromWn(wn_cache_rotate(&edit, device_->stream()), "cacheRotate");
}

Status CacheStore::KeepChannels(Cache& cache, int32_t layer, int32_t up_to, const int32_t* channels, int32_t stride, const int32_t* lens) {
  const LayerGeometry& shape = cache.geometry(layer);
  const auto heads = static_cast<size_t>(shape.num_kv_heads);
  std::vector<int32_t> counts(heads), lists(heads * static_cast<size_t>(stride));
  if (heads > 0) WINNOW_TRY(device_->CopyDown(counts.data(), lens, heads * 4));
  if (!lists.empty()) WINNOW_TRY(device_->CopyDown(lists.data(), channels, lists.size() * 4));
  for (size_t h = 0; h < heads; h++) {
    if (counts[h] < -1 || counts[h] == 0 || counts[h] > std::min(stride, shape.head_dim)) {
      return Status::Shape("cacheKeepChannels.lens", "-1 or 1 to " + std::to_string(shape.head_dim) + " channels", std::to_string(counts[h]));
    }
    for (int32_t i = 0, least = 0; i < counts[h]; i++) {
      const int32_t channel = lists[h * static_cast<size_t>(stride) + static_cast<size_t>(i)];
      if (channel < least || channel >= shape.head_dim) {
        return Status::Shape("cacheKeepChannels.channels",
                             "ascending channels below " + std::to_string(shape.head_dim) + InHead(static_cast<int32_t>(h)), std::to_string(channel));
      }
      least = channel + 1;
    }
  }
  struct Place {
    int32_t* entry;
    int32_t head;
  };
  std::map<std::pair<const PagePool*, int32_t>, std::vector<Place>> places;  // by the pool that pages lie in, and channels kept
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    HeadSlots& head = cache.head(layer, h);
    const int32_t count = counts[static_cast<size_t>(h)];
    for (int32_t index = 0; count > 0 && index < std::min(up_to, head.len) / kPageSlots; index++) {
      int32_t& entry = head.pages[static_cast<size_t>(index)];
      const PagePool& pool = pools_.Of(*shape.pool, entry);
      if (entry != kReleasedPage && pool.geometry().planes[0].bits == 0) places[{&pool, count}].push_back({&entry, h});
    }
  }
  for (const auto& [key, all] : places) {
    PageGeometry wanted = key.first->geometry();
    wanted.planes[0] = {WN_SOME_CHANNELS, key.second, 0};
    int32_t number = 0;
    WINNOW_TRY(pools_.Packed(wanted, &number));
    for (size_t first = 0; first < all.size(); first += kMostPages) {
      const size_t count = std::min(kMostPages, all.size() - first);
      std::vector<int32_t> from, to, pages;
      PagePools::KeptChannels kept{channels, stride, {}};
      WINNOW_TRY(pools_.packed(number).Take(static_cast<int64_t>(count), &pages));
      for (size_t i = 0; i < count; i++) {
        from.push_back(*all[first + i].entry);
        to.push_back(packed_entry(number, pages[i]));
        kept.list_of.push_back(all[first + i].head);
      }
      WINNOW_TRY(pools_.Convert(*shape.pool, from, to, kept));
      for (size_t i = 0; i < count; i++) {
        cache.Release(layer, from[i]);
        *all[first + i].entry = to[i];
      }
    }
    cache.set_has_packed(layer);
    cache.TouchTable(layer);
  }
  return {};
}

}  // namespace winnow::gpu
