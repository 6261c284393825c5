#include "cache_batch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "cache.h"

namespace winnow::gpu {

namespace {

/// A batch, and each of its rows alone, as methods edit them.
constexpr size_t kRemembered = 32;
/// Pages that a table has room for beyond those in use, so that its stride seldom changes.
constexpr int32_t kSpare = 16;

/// Lens as they lie on the device, [layer][rows, H]; `added(layer)` more than they are.
template <typename Added>
std::vector<int32_t> LensOf(const std::vector<Cache*>& caches, const Added& added) {
  const CacheLayout& layout = caches[0]->layout();
  std::vector<int32_t> lens;
  lens.reserve(static_cast<size_t>(layout.total_heads) * caches.size());
  for (int32_t l = 0; l < static_cast<int32_t>(layout.layers.size()); l++) {
    const int32_t more = added(l);
    for (const Cache* cache : caches)
      for (int32_t h = 0; h < layout.layers[static_cast<size_t>(l)].num_kv_heads; h++) lens.push_back(cache->head(l, h).len + more);
  }
  return lens;
}

}  // namespace

BatchViews::Batch& BatchViews::Find(const std::vector<int32_t>& ids, const Cache& first) {
  auto found = std::find_if(batches_.begin(), batches_.end(), [&](const Batch& batch) { return batch.ids == ids; });
  if (found == batches_.end() && !ids.empty()) {
    // The one used first: a sample whose prompt and steps go by two lists finds theirs in that order.
    const auto gone = std::find_if(batches_.rbegin(), batches_.rend(), [&](const Batch& batch) { return batch.is_gone && batch.ids.size() == ids.size(); });
    if (gone != batches_.rend()) {
      found = std::prev(gone.base());
      found->ids = ids;
      found->is_gone = false;
      found->grown_layer = -1;
      for (Lens& lens : found->lens) lens.values.clear();
      for (Table& table : found->tables) table.versions.clear();
    }
  }
  if (found == batches_.end()) {
    if (batches_.size() >= kRemembered) batches_.pop_back();
    batches_.emplace_front();
    found = batches_.begin();
    found->ids = ids;
    for (int i = 0; i < 2; i++) found->lens.emplace_back(device_);
  } else {
    batches_.splice(batches_.begin(), batches_, found);
  }
  while (found->tables.size() < first.layout().layers.size()) found->tables.emplace_back(device_);
  return batches_.front();
}

void BatchViews::Forget(int32_t id) {
  for (Batch& batch : batches_) {
    if (std::find(batch.ids.begin(), batch.ids.end(), id) == batch.ids.end()) continue;
    batch.is_gone = true;
    batch.stepped.clear();
  }
}

Status BatchViews::Send(Sent& to, size_t at, const int32_t* values, size_t count) {
  const bool is_noted = device_->has_noted() && to.read_by == device_->list_number();
  int32_t* target = to.buffer.as<int32_t>() + at;
  return is_noted ? device_->CopyUp(target, values, count * 4) : device_->CopyUpAhead(target, values, count * 4);
}

Status BatchViews::SendTable(Table& table, const std::vector<Cache*>& caches, int32_t layer) {
  const auto heads = static_cast<size_t>(caches[0]->geometry(layer).num_kv_heads);
  auto is_known = [&](size_t row) { return table.versions[row] == caches[row]->table_version(layer); };
  bool all_known = table.versions.size() == caches.size();
  for (size_t row = 0; all_known && row < caches.size(); row++) all_known = is_known(row);
  if (all_known) return {};
  size_t most = 0;
  for (const Cache* cache : caches)
    for (size_t h = 0; h < heads; h++) most = std::max(most, cache->head(layer, static_cast<int32_t>(h)).pages.size());
  const auto needed = static_cast<int32_t>(most);
  const bool is_wider = needed > table.stride || table.stride == 0;
  if (is_wider) table.stride = (needed + kSpare + 15) / 16 * 16;
  const auto stride = static_cast<size_t>(table.stride), size = caches.size() * heads * stride;
  const bool is_new = is_wider || table.pages.size() != size || table.versions.size() != caches.size();
  if (is_new) table.pages.assign(size, kReleasedPage);
  WINNOW_TRY(table.sent.buffer.Need(size * 4));
  size_t first = size, last = 0;
  for (size_t row = 0; row < caches.size(); row++) {
    if (!is_new && is_known(row)) continue;
    for (size_t h = 0; h < heads; h++) {
      const std::vector<int32_t>& own = caches[row]->head(layer, static_cast<int32_t>(h)).pages;
      const auto at = table.pages.begin() + static_cast<int64_t>((row * heads + h) * stride);
      std::fill(std::copy(own.begin(), own.end(), at), at + static_cast<int64_t>(stride), kReleasedPage);
    }
    first = std::min(first, row * heads * stride);
    last = (row + 1) * heads * stride;
  }
  table.versions.clear();
  WINNOW_TRY(Send(table.sent, first, table.pages.data() + first, last - first));
  for (const Cache* cache : caches) table.versions.push_back(cache->table_version(layer));
  return {};
}

/// Lens lie by layer, [layer][rows, H]. Behind a layer that has just grown the others are sent as they will be when they
/// have, so that one transfer serves a step.
Status BatchViews::SendLens(Batch& batch, const std::vector<Cache*>& caches, int32_t layer, int32_t new_slots, size_t at, Lens** out) {
  const size_t total = static_cast<size_t>(caches[0]->layout().total_heads) * caches.size();
  const int32_t heads = caches[0]->geometry(layer).num_kv_heads;
  for (Lens& lens : batch.lens) {
    bool is_known = lens.values.size() == total;
    size_t i = at;
    for (size_t row = 0; is_known && row < caches.size(); row++)
      for (int32_t h = 0; is_known && h < heads; h++) is_known = lens.values[i++] == caches[row]->head(layer, h).len - new_slots;
    if (is_known) {
      *out = &lens;
      return {};
    }
  }
  batch.newest = 1 - batch.newest;
  Lens& lens = batch.lens[batch.newest];
  *out = &lens;
  return SendAll(lens, LensOf(caches, [&](int32_t l) {
                   if (new_slots == 0 && l > layer && batch.grown_layer == layer) return batch.growth;
                   return l <= layer ? -new_slots : 0;
                 }));
}

Status BatchViews::SendAll(Lens& lens, std::vector<int32_t> values) {
  lens.values.clear();
  WINNOW_TRY(lens.sent.buffer.Need(std::max<size_t>(values.size(), 1) * 4));
  WINNOW_TRY(Send(lens.sent, 0, values.data(), values.size()));
  lens.values = std::move(values);
  return {};
}

void BatchViews::SendNextLens() {
  if (batches_.empty()) return;
  Batch& batch = batches_.front();
  const std::vector<Cache*> caches = std::exchange(batch.stepped, {});
  if (caches.empty()) return;
  const std::vector<int32_t> now = LensOf(caches, [](int32_t) { return 0; });
  std::vector<int32_t> next = LensOf(caches, [](int32_t) { return 1; });
  size_t before = 0;
  while (before < 2 && batch.lens[before].values != now) before++;
  // Where neither place holds them, the next step says what it needs.
  if (before == 2 || batch.lens[1 - before].values == next) return;
  batch.newest = 1 - before;
  (void)SendAll(batch.lens[1 - before], std::move(next));
}

Status BatchViews::View(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots,
                        WnCacheView* out) {
  const LayerGeometry& shape = caches[0]->geometry(layer);
  Batch& batch = Find(ids, *caches[0]);
  Table& table = batch.tables[static_cast<size_t>(layer)];
  WINNOW_TRY(SendTable(table, caches, layer));
  const size_t at = static_cast<size_t>(shape.first_head) * caches.size();
  Lens* lens = nullptr;
  WINNOW_TRY(SendLens(batch, caches, layer, new_slots, at, &lens));
  table.sent.read_by = lens->sent.read_by = device_->list_number();
  if (new_slots > 0) {
    batch.growth = new_slots, batch.grown_layer = layer;
    batch.stepped.clear();
    if (new_slots == 1 && !ids.empty() && layer == caches[0]->layout().last_with_heads) batch.stepped = caches;
  }
  *out = {.pages = shape.pool->pages(),
          .page_table = table.sent.buffer.as<int32_t>(),
          .kv_lens = lens->sent.buffer.as<int32_t>() + at,
          .positions = shape.pool->positions(),
          .counts = shape.pool->counts(),
          // An append writes biases of 0 over whatever the page held; reads pass over them where all are 0.
          .log_bias = new_slots > 0 ? shape.pool->bias() : nullptr,
          .rows = static_cast<int32_t>(caches.size()),
          .num_kv_heads = shape.num_kv_heads,
          .head_dim = shape.head_dim,
          .page_table_stride = table.stride};
  for (const Cache* cache : caches)
    if (cache->has_bias(layer)) out->log_bias = shape.pool->bias();
  return {};
}

}  // namespace winnow::gpu
