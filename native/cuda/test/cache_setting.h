#pragma once

#include <utility>
#include <vector>

#include "support.h"

namespace winnow::test {

/// A paged cache of several rows on the host and on the device, as kernels see it.
struct CacheSetting {
  std::vector<int32_t> lens;
  PagedCache cache;
  WnCacheView host{}, device{};

  /// lens: of rows x kv_heads lists.
  CacheSetting(uint32_t seed, std::vector<int32_t> lens_of, int kv_heads, int head_dim, Device& memory)
      : lens(std::move(lens_of)), cache(seed, lens, head_dim) {
    host.rows = static_cast<int32_t>(lens.size()) / kv_heads;
    host.num_kv_heads = kv_heads;
    host.head_dim = head_dim;
    host.page_table_stride = cache.stride;
    device = host;
    host.pages = cache.pages.data();
    host.page_table = cache.table.data();
    host.kv_lens = lens.data();
    device.pages = memory.upload(cache.pages);
    device.page_table = memory.upload(cache.table);
    device.kv_lens = memory.upload(lens);
  }
};

}  // namespace winnow::test
