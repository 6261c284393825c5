#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device.h"

/// Pages of one head dim on the device: 64 slots of keys, then of values, and beside them each slot's position, count and
/// bias. One base pointer for all; references are counted on the host, and a page that is freed is handed out again.
namespace winnow::gpu {

constexpr int32_t kPageSlots = WN_PAGE_SIZE;
/// Stands where a page was given back: zeros at position 0, never written.
constexpr int32_t kReleasedPage = 0;

class PagePool {
 public:
  PagePool(std::shared_ptr<Device> device, int32_t head_dim) : device_(std::move(device)), head_dim_(head_dim) {}
  ~PagePool();

  int32_t head_dim() const { return head_dim_; }
  /// `count` pages with one reference each, appended to `out`; slots hold finite values of whoever had them before.
  Status Take(int64_t count, std::vector<int32_t>* out);
  void Retain(int32_t page) {
    if (page != kReleasedPage) references_[static_cast<size_t>(page)]++;
  }
  void Release(int32_t page);
  bool IsShared(int32_t page) const { return page == kReleasedPage || references_[static_cast<size_t>(page)] > 1; }

  /// Bytes of a page with its slots' fields.
  int64_t page_bytes() const { return int64_t{kPageSlots} * (4 * head_dim_ + 12); }
  int64_t live_bytes() const { return live_ * page_bytes(); }
  void set_poison(bool on) { poisons_ = on; }

  void* pages() const { return pages_->base(); }
  int32_t* positions() const { return reinterpret_cast<int32_t*>(positions_->base()); }
  int32_t* counts() const { return reinterpret_cast<int32_t*>(counts_->base()); }
  float* bias() const { return reinterpret_cast<float*>(bias_->base()); }
  /// Pages that have memory; ids are below it.
  int32_t num_pages() const { return static_cast<int32_t>(references_.size()); }

 private:
  Status Open();
  std::byte* PageAt(int32_t page) const { return pages_->base() + int64_t{page} * kPageSlots * 4 * head_dim_; }

  std::shared_ptr<Device> device_;
  int32_t head_dim_;
  std::unique_ptr<GrowingRange> pages_, positions_, counts_, bias_;
  std::vector<int32_t> references_, free_, poisoned_;
  int64_t live_ = 0;
  bool poisons_ = false;
};

}  // namespace winnow::gpu
