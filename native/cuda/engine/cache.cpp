#include "cache.h"

#include <algorithm>

#include "../kernels/packed_page.h"

namespace winnow::gpu {

std::atomic<uint64_t> Cache::last_version_ = 0;

Cache::Cache(std::shared_ptr<const CacheLayout> layout)
    : layout_(std::move(layout)), heads_(static_cast<size_t>(layout_->total_heads)), state_(layout_->layers.size()) {
  for (int32_t layer = 0; layer < static_cast<int32_t>(state_.size()); layer++) TouchTable(layer);
}

Cache::~Cache() {
  for (int32_t layer = 0; layer < static_cast<int32_t>(state_.size()); layer++)
    for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++)
      for (int32_t page : head(layer, h).pages) Release(layer, page);
}

std::unique_ptr<Cache> Cache::Fork() const {
  auto fork = std::make_unique<Cache>(layout_);
  fork->heads_ = heads_;
  fork->state_ = state_;
  for (int32_t layer = 0; layer < static_cast<int32_t>(state_.size()); layer++)
    for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++)
      for (int32_t page : head(layer, h).pages) Retain(layer, page);
  return fork;
}

int32_t Cache::MaxLen(int32_t layer) const {
  int32_t longest = 0;
  for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++) longest = std::max(longest, head(layer, h).len);
  return longest;
}

int32_t Cache::MinLen(int32_t layer) const {
  int32_t shortest = INT32_MAX;
  for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++) shortest = std::min(shortest, head(layer, h).len);
  return shortest;
}

void Cache::Truncate(int32_t layer, int32_t kv_head, int32_t len) {
  HeadSlots& slots = head(layer, kv_head);
  slots.len = len;
  slots.known_page = kReleasedPage;
  const auto pages = static_cast<size_t>(PagesFor(len));
  if (pages == slots.pages.size()) return;
  while (slots.pages.size() > pages) {
    Release(layer, slots.pages.back());
    slots.pages.pop_back();
  }
  TouchTable(layer);
}

int64_t Cache::HeadBytes(int32_t layer, int32_t kv_head) {
  const LayerGeometry& shape = geometry(layer);
  const int64_t slot_bytes = int64_t{shape.head_dim} * 4;
  // Bytes that the page of an entry lacks, of which `used` slots count.
  auto saved_by = [&](int32_t entry, int64_t used) {
    int64_t saved = entry == kReleasedPage ? used * slot_bytes : 0;
    if (entry >= 0) return saved;
    for (const WnPlaneFormat& plane : shape.pools->Of(*shape.pool, entry).geometry().planes)
      if (plane.bits != 0) saved += used * slot_bytes / 2 - counted_bytes(plane, shape.head_dim);
    return saved;
  };
  LayerState& state = state_[static_cast<size_t>(layer)];
  if (state.saved_version != state.table_version) {
    state.saved.assign(static_cast<size_t>(shape.num_kv_heads), 0);
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const std::vector<int32_t>& pages = head(layer, h).pages;
      for (size_t i = 0; i + 1 < pages.size(); i++) state.saved[static_cast<size_t>(h)] += saved_by(pages[i], kPageSlots);
    }
    state.saved_version = state.table_version;
  }
  const HeadSlots& slots = head(layer, kv_head);
  const int64_t bytes = slots.len * slot_bytes - state.saved[static_cast<size_t>(kv_head)];
  return slots.pages.empty() ? bytes : bytes - saved_by(slots.pages.back(), slots.len - (static_cast<int64_t>(slots.pages.size()) - 1) * kPageSlots);
}

int64_t Cache::Bytes() {
  int64_t bytes = 0;
  for (int32_t layer = 0; layer < static_cast<int32_t>(state_.size()); layer++)
    for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++) bytes += HeadBytes(layer, h);
  return bytes;
}

}  // namespace winnow::gpu
