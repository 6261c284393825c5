#pragma once

#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "page_pool.h"

/// All pools of an engine, and pages by the entry that names them: from 0 on a page of elements in its layer's own pool, below
/// 0 a packed page (see WnPageFormat). A packed page lies in the pool of its pair of formats, so it takes what it needs and no more.
namespace winnow::gpu {

class PagePools {
 public:
  explicit PagePools(std::shared_ptr<Device> device) : device_(device), formats_(device) {}

  /// The pool of element pages.
  PagePool* Elements(int32_t head_dim, int32_t head_dim_v);
  /// Number of the pool of packed pages of this geometry. ERR_UNSUPPORTED when there are too many formats.
  Status Packed(const PageGeometry& geometry, int32_t* number);
  PagePool& packed(int32_t number) const { return *packed_[static_cast<size_t>(number)]; }

  /// The pool that an entry lies in, where `elements` is its layer's.
  PagePool& Of(PagePool& elements, int32_t entry) const;
  void Retain(PagePool& elements, int32_t entry) const;
  void Release(PagePool& elements, int32_t entry) const;
  bool IsShared(PagePool& elements, int32_t entry) const;

  /// Pages with one reference each in the pools of those that `entries` name, none of them a released one.
  Status TakeAlike(PagePool& elements, const std::vector<int32_t>& entries, std::vector<int32_t>* out);
  /// Contents of pages into pages of other formats, or of the same: entry by entry, all in one kernel.
  Status Convert(const PagePool& elements, const std::vector<int32_t>& from, const std::vector<int32_t>& to) {
    return Convert(elements, from, to, {});
  }
  /// Channels that pages keep, in lists on the device, and the list of each page.
  struct KeptChannels {
    const int32_t* lists;
    int32_t stride;
    std::vector<int32_t> list_of;
  };
  Status Convert(const PagePool& elements, const std::vector<int32_t>& from, const std::vector<int32_t>& to, const KeptChannels& kept);
  /// Formats by number, on the device; null while there is none.
  const WnPageFormat* formats() const { return packed_.empty() ? nullptr : formats_.as<WnPageFormat>(); }

  /// Gives back the memory of pools that no cache has pages of.
  Status Trim();
  void set_poison(bool on);
  int64_t live_bytes() const;

 private:
  using Key = std::array<int32_t, 8>;
  std::shared_ptr<Device> device_;
  std::map<std::pair<int32_t, int32_t>, std::unique_ptr<PagePool>> elements_;
  std::map<Key, int32_t> numbers_;
  std::vector<std::unique_ptr<PagePool>> packed_;
  Buffer formats_;
  bool poisons_ = false;
};

}  // namespace winnow::gpu
