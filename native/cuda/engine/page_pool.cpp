#include "page_pool.h"

#include <algorithm>

#include "../kernels/packed_page.h"

namespace winnow::gpu {

namespace {

/// Pages that get memory together.
constexpr int64_t kGrowth = 256;

}  // namespace

PagePool::PagePool(std::shared_ptr<Device> device, const PageGeometry& geometry)
    : device_(std::move(device)),
      geometry_(geometry),
      plane_bytes_(packed_places(geometry.planes[0], geometry.planes[1], geometry.head_dim, geometry.head_dim_v).bytes) {}

PagePool::~PagePool() { device_->CountBytes(-live_bytes()); }

Status PagePool::Open() {
  const bool is_packed = geometry_.planes[0].bits != 0 || geometry_.planes[1].bits != 0;
  const int64_t limit = is_packed ? 1 << WN_PACKED_PAGE_BITS : INT32_MAX / 2;
  const int64_t most = std::min<int64_t>(device_->facts().memory_bytes / plane_bytes_, limit);
  most_ = static_cast<int32_t>(most);
  const size_t field = static_cast<size_t>(most) * kPageSlots * 4;
  WINNOW_TRY(device_->Reserve(static_cast<size_t>(most * plane_bytes_), &pages_));
  WINNOW_TRY(device_->Reserve(field, &positions_));
  WINNOW_TRY(device_->Reserve(field, &counts_));
  return device_->Reserve(field, &bias_);
}

Status PagePool::Take(int64_t count, std::vector<int32_t>* out) {
  if (pages_ == nullptr) WINNOW_TRY(Open());
  const auto idle = static_cast<int64_t>(free_.size());
  if (count > idle) {
    const int64_t have = std::max<int64_t>(num_pages(), 1);
    const int64_t wanted = have + (count - idle + kGrowth - 1) / kGrowth * kGrowth;
    WINNOW_TRY(pages_->Grow(static_cast<size_t>(wanted * plane_bytes_)));
    for (GrowingRange* field : {positions_.get(), counts_.get(), bias_.get()}) {
      WINNOW_TRY(field->Grow(static_cast<size_t>(wanted) * kPageSlots * 4));
    }
    references_.resize(static_cast<size_t>(wanted), 0);
    for (int64_t page = wanted - 1; page >= have; page--) free_.push_back(static_cast<int32_t>(page));
  }
  for (int64_t i = 0; i < count; i++) {
    const int32_t page = free_.back();
    free_.pop_back();
    references_[static_cast<size_t>(page)] = 1;
    if (auto found = std::find(poisoned_.begin(), poisoned_.end(), page); found != poisoned_.end()) {
      // What is not written yet is read with weight 0, and 0 * NaN would be NaN.
      WINNOW_TRY(device_->Fill(PageAt(page), 0, static_cast<size_t>(plane_bytes_)));
      poisoned_.erase(found);
    }
    out->push_back(page);
  }
  live_ += count;
  device_->CountBytes(count * page_bytes());
  return {};
}

Status PagePool::Borrow(int64_t count, std::vector<int32_t>* out) {
  const size_t first = out->size();
  WINNOW_TRY(Take(count, out));
  for (size_t i = out->size(); i > first; i--) free_.push_back((*out)[i - 1]);
  live_ -= count;
  device_->CountBytes(-count * page_bytes());
  return {};
}

Status PagePool::Trim() {
  if (live_ > 0 || pages_ == nullptr) return {};
  WINNOW_TRY(pages_->Shrink(static_cast<size_t>(plane_bytes_)));
  int64_t pages = std::min<int64_t>(num_pages(), static_cast<int64_t>(pages_->bytes()) / plane_bytes_);
  for (GrowingRange* field : {positions_.get(), counts_.get(), bias_.get()}) {
    WINNOW_TRY(field->Shrink(size_t{kPageSlots} * 4));
    pages = std::min<int64_t>(pages, static_cast<int64_t>(field->bytes()) / (kPageSlots * 4));
  }
  references_.assign(static_cast<size_t>(pages), 0);
  const auto gone = [pages](int32_t page) { return page >= pages; };
  free_.erase(std::remove_if(free_.begin(), free_.end(), gone), free_.end());
  poisoned_.erase(std::remove_if(poisoned_.begin(), poisoned_.end(), gone), poisoned_.end());
  return {};
}

void PagePool::Release(int32_t page) {
  if (page == kReleasedPage || --references_[static_cast<size_t>(page)] > 0) return;
  free_.push_back(page);
  live_--;
  device_->CountBytes(-page_bytes());
  if (!poisons_) return;
  poisoned_.push_back(page);
  (void)device_->Fill(PageAt(page), 0xff, static_cast<size_t>(plane_bytes_));
}

}  // namespace winnow::gpu
