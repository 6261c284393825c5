#include <algorithm>
#include <cmath>
#include <numeric>

#include "cache.h"
#include "winnow_cuda/cache_insert.h"
#include "winnow_cuda/cache_read.h"

/// Slots that come from or go to the host: appends of entries made elsewhere, reads, releases by position, and what tests ask for.
namespace winnow::gpu {

Status CacheStore::Append(Cache& cache, int32_t layer, const Entries& entries, int32_t before) {
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  std::vector<int32_t> more(static_cast<size_t>(heads), 0), old(static_cast<size_t>(heads)),
      slots(static_cast<size_t>(heads) * static_cast<size_t>(entries.count), -1);
  for (int32_t h = 0; h < heads; h++) {
    const int32_t len = cache.head(layer, h).len;
    if (before < 0 || before > len) {
      return Status::Shape("cacheAppend.before", "0 to " + std::to_string(len) + " slots of KV head " + std::to_string(h), std::to_string(before));
    }
    old[static_cast<size_t>(h)] = len;
    for (int32_t i = 0; i < entries.count; i++) {
      const size_t at = static_cast<size_t>(h) * static_cast<size_t>(entries.count) + static_cast<size_t>(i);
      if (entries.host_counts[at] >= 0) slots[at] = old[static_cast<size_t>(h)] + more[static_cast<size_t>(h)]++;
    }
  }
  if (entries.count == 0) return {};
  WINNOW_TRY(GrowHeads(cache, layer, more));
  cache.set_has_bias(layer);
  WnCacheView view{};
  WINNOW_TRY(PackedView({&cache}, {}, layer, 0, &view));  // the new slots lie in pages of elements
  const WnCacheInsertParams params{.cache = view,
                                   .keys = entries.keys,
                                   .values = entries.values,
                                   .positions = entries.positions,
                                   .counts = entries.counts,
                                   .bias = entries.bias,
                                   .slots = device_->Stage(slots.data(), slots.size()),
                                   .num_entries = entries.count};
  WINNOW_TRY(FromWn(wn_cache_insert(&params, device_->stream()), "cacheAppend"));
  if (before == 0) return {};
  // The last `before` old slots go behind the new ones.
  const int64_t stride = cache.MaxLen(layer);
  std::vector<int32_t> order(static_cast<size_t>(heads * stride));
  std::vector<Kept> kept(static_cast<size_t>(heads));
  for (int32_t h = 0; h < heads; h++) {
    const int32_t was = old[static_cast<size_t>(h)], stay = (was - before) / kPageSlots, len = cache.head(layer, h).len;
    const int32_t first = stay * kPageSlots, behind = was - before - first;
    auto at = order.begin() + h * stride;
    std::iota(at, at + behind, first);
    std::iota(at + behind, at + behind + (len - was), was);
    std::iota(at + behind + (len - was), at + (len - first), was - before);
    kept[static_cast<size_t>(h)] = {stay, len - first};
  }
  return Gather(cache, layer, device_->Stage(order.data(), order.size()), stride, kept);
}

Status CacheStore::ReadDown(Cache& cache, int32_t layer, int32_t what, void* out) {
  const LayerGeometry& shape = cache.geometry(layer);
  const int32_t longest = cache.MaxLen(layer);
  if (longest == 0 || shape.num_kv_heads == 0) return {};
  const size_t bytes = static_cast<size_t>(shape.num_kv_heads) * static_cast<size_t>(longest) * 4 *
                       static_cast<size_t>(what <= WN_READ_VALUES ? shape.head_dim : 1);
  WINNOW_TRY(scratch_.Need(bytes));
  WnCacheReadParams params{.out = scratch_.data(), .what = what, .max_len = longest};
  WINNOW_TRY(PackedView({&cache}, {}, layer, 0, &params.cache));
  params.cache.log_bias = shape.pool->bias();
  WINNOW_TRY(FromWn(wn_cache_read(&params, device_->stream()), "cacheRead"));
  return device_->CopyDown(out, scratch_.data(), bytes);
}

Status CacheStore::ReleaseBefore(Cache& cache, int32_t layer, int32_t before) {
  const LayerGeometry& shape = cache.geometry(layer);
  auto first_held = [](const HeadSlots& head) {
    return static_cast<int32_t>(std::find_if(head.pages.begin(), head.pages.end(), [](int32_t page) { return page != kReleasedPage; }) -
                                head.pages.begin());
  };
  // A layer that slides asks in every step, and a page goes in one of 64: the first that stays is remembered with its positions.
  bool may_go = false;
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    const HeadSlots& head = cache.head(layer, h);
    const int32_t first = first_held(head);
    if (first >= head.len / kPageSlots) continue;
    may_go = may_go || head.pages[static_cast<size_t>(first)] != head.known_page || head.known_highest < before;
  }
  if (!may_go) return {};
  const int64_t stride = cache.MaxLen(layer);
  std::vector<int32_t> positions(static_cast<size_t>(shape.num_kv_heads * stride));
  WINNOW_TRY(ReadDown(cache, layer, WN_READ_POSITIONS, positions.data()));
  bool changed = false;
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    HeadSlots& head = cache.head(layer, h);
    for (int32_t index = first_held(head); index < head.len / kPageSlots; index++) {
      const auto at = positions.begin() + h * stride + int64_t{index} * kPageSlots;
      head.known_page = head.pages[static_cast<size_t>(index)];
      head.known_highest = *std::max_element(at, at + kPageSlots);
      if (head.known_highest >= before) break;
      cache.Release(layer, head.pages[static_cast<size_t>(index)]);
      head.pages[static_cast<size_t>(index)] = kReleasedPage;
      changed = true;
    }
  }
  if (changed) cache.TouchTable(layer);
  return {};
}

Status CacheStore::Poison(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens) {
  const LayerGeometry& shape = cache.geometry(layer);
  PagePool& pool = *shape.pool;
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    if (lens[h] < 0) continue;
    HeadSlots& head = cache.head(layer, h);
    const int32_t* own = slots + h * stride;
    if (lens[h] > stride || !std::is_sorted(own, own + lens[h]) || (lens[h] > 0 && (own[0] < 0 || own[lens[h] - 1] >= head.len))) {
      return Status::Shape("cachePoison.slots", "ascending slots below " + std::to_string(head.len), "others in KV head " + std::to_string(h));
    }
    for (int32_t slot = 0; slot < head.len; slot++) {
      if (std::binary_search(own, own + lens[h], slot)) continue;
      int32_t& page = head.pages[static_cast<size_t>(slot / kPageSlots)];
      WINNOW_TRY(OwnPage(cache, layer, &page));
      for (int32_t plane = 0; plane < 2; plane++) {
        const int64_t row = (int64_t{page} * 2 + plane) * kPageSlots + slot % kPageSlots;
        WINNOW_TRY(device_->Fill(static_cast<std::byte*>(pool.pages()) + row * shape.head_dim * 2, 0xff, static_cast<size_t>(shape.head_dim) * 2));
      }
    }
  }
  cache.TouchTable(layer);
  return {};
}

Status CacheStore::Hash(Cache& cache, uint64_t* out) {
  uint64_t hash = 0xcbf29ce484222325ull;
  auto mix = [&hash](const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3ull;
  };
  for (const HeadSlots& head : cache.heads()) mix(&head.len, 4);
  const auto& layers = cache.layout().layers;
  for (int32_t layer = 0; layer < static_cast<int32_t>(layers.size()); layer++) {
    const LayerGeometry& shape = layers[static_cast<size_t>(layer)];
    for (int32_t what : {WN_READ_KEYS, WN_READ_VALUES, WN_READ_BIAS, WN_READ_COUNTS, WN_READ_POSITIONS}) {
      std::vector<int32_t> words(static_cast<size_t>(shape.num_kv_heads) * static_cast<size_t>(cache.MaxLen(layer)) *
                                 static_cast<size_t>(what <= WN_READ_VALUES ? shape.head_dim : 1));
      WINNOW_TRY(ReadDown(cache, layer, what, words.data()));
      mix(words.data(), words.size() * 4);
    }
  }
  *out = hash;
  return {};
}

}  // namespace winnow::gpu
