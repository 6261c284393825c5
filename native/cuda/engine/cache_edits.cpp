#include <algorithm>

#include "cache.h"

/// Slots merged into others and slots moved to other positions.
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
  WINNOW_TRY(View(cache, layer, &edit.cache));
  edit.frozen_page = kReleasedPage;
  return FromWn(wn_cache_rotate(&edit, device_->stream()), "cacheRotate");
}

}  // namespace winnow::gpu
