#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "device.h"
#include "winnow_cuda/cache_view.h"

/// Page tables and lens of caches on the device, sent only when they changed: a decode step sends the lens of all layers once
/// (what they are after one step they are before the next) and a table when a page was added.
namespace winnow::gpu {

class Cache;

class BatchViews {
 public:
  explicit BatchViews(std::shared_ptr<Device> device) : device_(std::move(device)) {}

  /// The layer of these caches as kernels see it, valid until the next call. `new_slots` > 0: lens as they were before
  /// that many slots were appended. `ids` tells lists of caches apart; empty for one that is not worth remembering.
  Status View(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots, WnCacheView* out);

 private:
  /// Lens of all layers on the device, and what they are.
  struct Lens {
    explicit Lens(std::shared_ptr<Device> device) : buffer(std::move(device)) {}
    Buffer buffer;
    std::vector<int32_t> values;
  };
  struct Table {
    explicit Table(std::shared_ptr<Device> device) : buffer(std::move(device)) {}
    Buffer buffer;
    std::vector<uint64_t> versions;
    int32_t stride = 0;
  };
  struct Batch {
    std::vector<int32_t> ids;
    std::vector<Lens> lens;  ///< two, as an append reads other lens than what follows it
    size_t newest = 0;
    int32_t growth = 0, grown_layer = -1;  ///< of the last append
    std::vector<Table> tables;
  };
  Batch& Find(const std::vector<int32_t>& ids, const Cache& first);
  Status SendTable(Table& table, const std::vector<Cache*>& caches, int32_t layer);
  /// The layer's lens less `new_slots`, at place `at` of all lens.
  Status SendLens(Batch& batch, const std::vector<Cache*>& caches, int32_t layer, int32_t new_slots, size_t at, const int32_t** out);

  std::shared_ptr<Device> device_;
  std::list<Batch> batches_;  ///< last used first
};

}  // namespace winnow::gpu
