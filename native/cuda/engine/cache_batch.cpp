#include "cache_batch.h"

#include <algorithm>

#include "cache.h"

namespace winnow::gpu {

namespace {

/// A batch, and each of its rows alone, as methods edit them.
constexpr size_t kRemembered = 32;
/// Pages that a table has room for beyond those in use, so that its stride seldom changes.
constexpr int32_t kSpare = 16;

}  // namespace

BatchViews::Batch& BatchViews::Find(const std::vector<int32_t>& ids, const Cache& first) {
  auto found = std::find_if(batches_.begin(), batches_.end(), [&](const Batch& batch) { return batch.ids == ids; });
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

Status BatchViews::SendTable(Table& table, const std::vector<Cache*>& caches, int32_t layer) {
  const int32_t heads = caches[0]->geometry(layer).num_kv_heads;
  bool is_known = table.versions.size() == caches.size();
  for (size_t row = 0; is_known && row < caches.size(); row++) is_known = table.versions[row] == caches[row]->table_version(layer);
  if (is_known) return {};
  size_t most = 0;
  for (const Cache* cache : caches)
    for (int32_t h = 0; h < heads; h++) most = std::max(most, cache->head(layer, h).pages.size());
  const auto needed = static_cast<int32_t>(most);
  if (needed > table.stride || table.stride == 0) table.stride = (needed + kSpare + 15) / 16 * 16;
  std::vector<int32_t> pages(caches.size() * static_cast<size_t>(heads) * static_cast<size_t>(table.stride), kReleasedPage);
  size_t at = 0;
  for (const Cache* cache : caches)
    for (int32_t h = 0; h < heads; h++, at += static_cast<size_t>(table.stride)) {
      const std::vector<int32_t>& own = cache->head(layer, h).pages;
      std::copy(own.begin(), own.end(), pages.begin() + static_cast<int64_t>(at));
    }
  WINNOW_TRY(table.buffer.Need(pages.size() * 4));
  WINNOW_TRY(device_->CopyUp(table.buffer.data(), pages.data(), pages.size() * 4));
  table.versions.resize(caches.size());
  for (size_t row = 0; row < caches.size(); row++) table.versions[row] = caches[row]->table_version(layer);
  return {};
}

/// Lens lie by layer, [layer][rows, H]. Behind a layer that has just grown the others are sent as they will be when they
/// have, so that one transfer serves a step.
Status BatchViews::SendLens(Batch& batch, const std::vector<Cache*>& caches, int32_t layer, int32_t new_slots, size_t at,
                            const int32_t** out) {
  const auto& layers = caches[0]->layout().layers;
  const size_t total = static_cast<size_t>(caches[0]->layout().total_heads) * caches.size();
  const int32_t heads = caches[0]->geometry(layer).num_kv_heads;
  for (Lens& lens : batch.lens) {
    bool is_known = lens.values.size() == total;
    size_t i = at;
    for (size_t row = 0; is_known && row < caches.size(); row++)
      for (int32_t h = 0; is_known && h < heads; h++) is_known = lens.values[i++] == caches[row]->head(layer, h).len - new_slots;
    if (is_known) {
      *out = lens.buffer.as<int32_t>() + at;
      return {};
    }
  }
  batch.newest = 1 - batch.newest;
  Lens& lens = batch.lens[batch.newest];
  lens.values.assign(total, 0);
  size_t i = 0;
  for (int32_t l = 0; l < static_cast<int32_t>(layers.size()); l++) {
    int32_t added = l <= layer ? -new_slots : 0;
    if (new_slots == 0 && l > layer && batch.grown_layer == layer) added = batch.growth;
    for (const Cache* cache : caches)
      for (int32_t h = 0; h < layers[static_cast<size_t>(l)].num_kv_heads; h++) lens.values[i++] = cache->head(l, h).len + added;
  }
  WINNOW_TRY(lens.buffer.Need(std::max<size_t>(total, 1) * 4));
  *out = lens.buffer.as<int32_t>() + at;
  return device_->CopyUp(lens.buffer.data(), lens.values.data(), total * 4);
}

Status BatchViews::View(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots,
                        WnCacheView* out) {
  const LayerGeometry& shape = caches[0]->geometry(layer);
  Batch& batch = Find(ids, *caches[0]);
  Table& table = batch.tables[static_cast<size_t>(layer)];
  WINNOW_TRY(SendTable(table, caches, layer));
  const size_t at = static_cast<size_t>(shape.first_head) * caches.size();
  const int32_t* lens = nullptr;
  WINNOW_TRY(SendLens(batch, caches, layer, new_slots, at, &lens));
  if (new_slots > 0) batch.growth = new_slots, batch.grown_layer = layer;
  *out = {.pages = shape.pool->pages(),
          .page_table = table.buffer.as<int32_t>(),
          .kv_lens = lens,
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
