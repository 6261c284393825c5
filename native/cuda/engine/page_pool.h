#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device.h"
#include "winnow_cuda/page_format.h"

/// Pages of one geometry and format on the device: keys and values of 64 slots, and beside them each slot's position, count
/// and bias. One base pointer for all; references are counted on the host, and a page that is freed is handed out again.
namespace winnow::gpu {

constexpr int32_t kPageSlots = WN_PAGE_SIZE;
/// Stands where a page was given back: zeros at position 0, never written.
constexpr int32_t kReleasedPage = 0;

struct PageGeometry {
  int32_t head_dim, head_dim_v;
  WnPlaneFormat planes[2];
};

class PagePool {
 public:
  PagePool(std::shared_ptr<Device> device, const PageGeometry& geometry);
  ~PagePool();
  /// Reserves addresses; done by the first Take where nobody asked before.
  Status Open();

  const PageGeometry& geometry() const { return geometry_; }
  int32_t head_dim() const { return geometry_.head_dim; }
  /// `count` pages with one reference each, appended to `out`; slots hold finite values of whoever had them before.
  Status Take(int64_t count, std::vector<int32_t>* out);
  void Retain(int32_t page) {
    if (page != kReleasedPage) references_[static_cast<size_t>(page)]++;
  }
  void Release(int32_t page);
  bool IsShared(int32_t page) const { return page == kReleasedPage || references_[static_cast<size_t>(page)] > 1; }
  /// Pages for the op that is issued next alone, appended to `out`: work in the stream behind it may write to them.
  Status Borrow(int64_t count, std::vector<int32_t>* out);

  /// Gives the memory of a pool without live pages back, but for what the released page lies in.
  Status Trim();

  /// Bytes of a page with its slots' fields.
  int64_t page_bytes() const { return plane_bytes_ + kPageSlots * 12; }
  int64_t live_bytes() const { return live_ * page_bytes(); }
  void set_poison(bool on) { poisons_ = on; }

  /// Null, like the other fields, until the first page was taken.
  void* pages() const { return BaseOf(pages_); }
  int32_t* positions() const { return reinterpret_cast<int32_t*>(BaseOf(positions_)); }
  int32_t* counts() const { return reinterpret_cast<int32_t*>(BaseOf(counts_)); }
  float* bias() const { return reinterpret_cast<float*>(BaseOf(bias_)); }
  WnPageFormat format() const {
    return {pages(), positions(), counts(), bias(), {geometry_.planes[0], geometry_.planes[1]}};
  }
  /// Pages that there are addresses for: kernels that must know an end take this one, which never moves.
  int32_t most_pages() const { return most_; }
  /// Pages that have memory; ids are below it.
  int32_t num_pages() const { return static_cast<int32_t>(references_.size()); }

 private:
  static std::byte* BaseOf(const std::unique_ptr<GrowingRange>& range) { return range == nullptr ? nullptr : range->base(); }
  std::byte* PageAt(int32_t page) const { return pages_->base() + page * plane_bytes_; }

  std::shared_ptr<Device> device_;
  PageGeometry geometry_;
  int64_t plane_bytes_;
  std::unique_ptr<GrowingRange> pages_, positions_, counts_, bias_;
  std::vector<int32_t> references_, free_, poisoned_;
  int32_t most_ = 0;
  int64_t live_ = 0;
  bool poisons_ = false;
};

}  // namespace winnow::gpu
