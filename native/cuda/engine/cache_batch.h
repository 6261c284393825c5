#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "device.h"
#include "winnow_cuda/cache_view.h"

/// Page tables and lens of caches on the device, sent only when they changed. The lens of all layers are one transfer: what they
/// are after one step they are before the next, and what they will be after the next is sent while the host waits for this one.
/// Of a table what changed is sent, as a rule one page a row in one step of 64.
namespace winnow::gpu {

class Cache;

class BatchViews {
 public:
  explicit BatchViews(std::shared_ptr<Device> device) : device_(std::move(device)) {
    device_->set_before_wait([this] { SendNextLens(); });
  }
  ~BatchViews() { device_->set_before_wait({}); }
  BatchViews(const BatchViews&) = delete;
  BatchViews& operator=(const BatchViews&) = delete;

  /// The layer of these caches as kernels see it, valid until the next call. `new_slots` > 0: lens as they were before
  /// that many slots were appended. `ids` tells lists of caches apart; empty for one that is not worth remembering.
  Status View(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots, WnCacheView* out);
  /// The cache of this id is about to go.
  void Forget(int32_t id);

 private:
  /// Memory on the device that ops read, and the number of the list that those may be noted in which read it last.
  struct Sent {
    explicit Sent(std::shared_ptr<Device> device) : buffer(std::move(device)) {}
    Buffer buffer;
    uint64_t read_by = 0;
  };
  /// Lens of all layers on the device, and what they are.
  struct Lens {
    explicit Lens(std::shared_ptr<Device> device) : sent(std::move(device)) {}
    Sent sent;
    std::vector<int32_t> values;
  };
  struct Table {
    explicit Table(std::shared_ptr<Device> device) : sent(std::move(device)) {}
    Sent sent;
    std::vector<int32_t> pages;  ///< what was sent
    std::vector<uint64_t> versions;
    int32_t stride = 0;
  };
  struct Batch {
    std::vector<int32_t> ids;
    std::vector<Lens> lens;  ///< two, as an append reads other lens than what follows it
    size_t newest = 0;
    int32_t growth = 0, grown_layer = -1;  ///< of the last append
    std::vector<Table> tables;
    bool is_gone = false;         ///< a cache of it is no more
    std::vector<Cache*> stepped;  ///< all, when every layer has grown by one slot, until the next lens were sent
  };
  /// A new list of caches takes the memory of one that is gone and had as many rows: arguments of its steps are those of before, and
  /// graphs of them serve on.
  Batch& Find(const std::vector<int32_t>& ids, const Cache& first);
  /// Before ops that are noted where none of them reads that memory, so that a list stays whole.
  Status Send(Sent& to, size_t at, const int32_t* values, size_t count);
  Status SendTable(Table& table, const std::vector<Cache*>& caches, int32_t layer);
  /// The layer's lens less `new_slots`, at place `at` of all lens.
  Status SendLens(Batch& batch, const std::vector<Cache*>& caches, int32_t layer, int32_t new_slots, size_t at, Lens** out);
  Status SendAll(Lens& lens, std::vector<int32_t> values);
  /// Lens of all layers before and after another step of the batch that has just taken one, as far as they are not there.
  void SendNextLens();

  std::shared_ptr<Device> device_;
  std::list<Batch> batches_;  ///< last used first
};

}  // namespace winnow::gpu
