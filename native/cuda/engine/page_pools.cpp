#include "page_pools.h"

#include <algorithm>

#include "../kernels/packed_page.h"
#include "winnow_cuda/page_convert.h"

namespace winnow::gpu {

PagePool* PagePools::Elements(int32_t head_dim, int32_t head_dim_v) {
  std::unique_ptr<PagePool>& pool = elements_[{head_dim, head_dim_v}];
  if (pool == nullptr) {
    pool = std::make_unique<PagePool>(device_, PageGeometry{head_dim, head_dim_v, {}});
    pool->set_poison(poisons_);
  }
  return pool.get();
}

Status PagePools::Packed(const PageGeometry& geometry, int32_t* number) {
  const WnPlaneFormat &keys = geometry.planes[0], &values = geometry.planes[1];
  const Key key{geometry.head_dim, geometry.head_dim_v, keys.bits, keys.group, keys.along, values.bits, values.group, values.along};
  if (auto found = numbers_.find(key); found != numbers_.end()) {
    *number = found->second;
    return {};
  }
  size_t place = packed_.size();
  if (place == kMaxPageFormats) {
    // One that has no page any more makes room; kernels may still read its last ones.
    const auto idle = std::find_if(packed_.begin(), packed_.end(), [](const auto& pool) { return pool->live_bytes() == 0; });
    if (idle == packed_.end()) {
      return Status::Fail(Code::kUnsupported, "cacheQuantise", "at most " + std::to_string(kMaxPageFormats) + " formats of pages on cuda", "one more");
    }
    WINNOW_TRY(device_->Synchronise());
    place = static_cast<size_t>(idle - packed_.begin());
    std::erase_if(numbers_, [=](const auto& known) { return known.second == static_cast<int32_t>(place); });
  }
  auto pool = std::make_unique<PagePool>(device_, geometry);
  pool->set_poison(poisons_);
  WINNOW_TRY(pool->Open());
  WINNOW_TRY(formats_.Need(kMaxPageFormats * sizeof(WnPageFormat)));
  const WnPageFormat format = pool->format();
  *number = static_cast<int32_t>(place);
  WINNOW_TRY(device_->CopyUp(formats_.as<WnPageFormat>() + *number, &format, sizeof format));
  if (place == packed_.size()) packed_.push_back(std::move(pool));
  else packed_[place] = std::move(pool);
  numbers_[key] = *number;
  return {};
}

PagePool& PagePools::Of(PagePool& elements, int32_t entry) const { return entry < 0 ? packed(entry_format(entry)) : elements; }

void PagePools::Retain(PagePool& elements, int32_t entry) const { Of(elements, entry).Retain(entry_page(entry)); }

void PagePools::Release(PagePool& elements, int32_t entry) const { Of(elements, entry).Release(entry_page(entry)); }

bool PagePools::IsShared(PagePool& elements, int32_t entry) const { return Of(elements, entry).IsShared(entry_page(entry)); }

Status PagePools::TakeAlike(PagePool& elements, const std::vector<int32_t>& entries, std::vector<int32_t>* out) {
  std::map<PagePool*, std::vector<int32_t>> taken;
  for (int32_t entry : entries) {
    std::vector<int32_t>& own = taken[&Of(elements, entry)];
    Status status = Of(elements, entry).Take(1, &own);
    if (!status.ok()) {
      for (auto& [pool, pages] : taken)
        for (int32_t page : pages) pool->Release(page);
      return status;
    }
    out->push_back(entry < 0 ? packed_entry(entry_format(entry), own.back()) : own.back());
  }
  return {};
}

Status PagePools::Convert(const PagePool& elements, const std::vector<int32_t>& from, const std::vector<int32_t>& to,
                          const KeptChannels& kept) {
  if (from.empty()) return {};
  WINNOW_TRY(formats_.Need(kMaxPageFormats * sizeof(WnPageFormat)));
  const WnPageConvertParams params{.elements = elements.format(),
                                   .formats = formats_.as<WnPageFormat>(),
                                   .source = device_->Stage(from.data(), from.size()),
                                   .target = device_->Stage(to.data(), to.size()),
                                   .num_jobs = static_cast<int32_t>(from.size()),
                                   .head_dim = elements.geometry().head_dim,
                                   .head_dim_v = elements.geometry().head_dim_v,
                                   .channels = kept.lists,
                                   .channel_list = kept.lists == nullptr ? nullptr : device_->Stage(kept.list_of.data(), kept.list_of.size()),
                                   .channel_stride = kept.stride};
  return FromWn(wn_page_convert(&params, device_->stream()), "cache");
}

Status PagePools::Trim() {
  for (auto& [dims, pool] : elements_) WINNOW_TRY(pool->Trim());
  for (auto& pool : packed_) WINNOW_TRY(pool->Trim());
  return {};
}

void PagePools::set_poison(bool on) {
  poisons_ = on;
  for (auto& [dims, pool] : elements_) pool->set_poison(on);
  for (auto& pool : packed_) pool->set_poison(on);
}

int64_t PagePools::live_bytes() const {
  int64_t bytes = 0;
  for (const auto& [dims, pool] : elements_) bytes += pool->live_bytes();
  for (const auto& pool : packed_) bytes += pool->live_bytes();
  return bytes;
}

}  // namespace winnow::gpu
