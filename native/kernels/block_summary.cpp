#include "block_summary.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "pool.h"

namespace winnow {
namespace {

/// Slots [begin, end) of a head, page by page of the cache. False: out of memory.
bool WidenBy(const BlockSummaryKernels& kernels, const HeadCache& head, int32_t begin, int32_t end, float* low,
             float* high) {
  while (begin < end) {
    const Page& page = *head.pages[begin / kPageSize];
    const int32_t first = begin % kPageSize;
    const int32_t count = std::min(end - begin, kPageSize - first);
    const int32_t dim = page.dims[0];
    const Plane& plane = page.planes[0];
    if (plane.format.bits != 0) {
      auto* rows = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(kPageSize) * dim * sizeof(float)));
      if (rows == nullptr) return false;
      ReadRows(page, 0, first, count, rows, dim);
      kernels.f32(rows, count, dim, low, high);
    } else if (page.element == DType::kF32) {
      kernels.f32(reinterpret_cast<const float*>(plane.data) + int64_t{first} * dim, count, dim, low, high);
    } else {
      kernels.bf16(reinterpret_cast<const uint16_t*>(plane.data) + int64_t{first} * dim, count, dim, low, high);
    }
    begin += count;
  }
  return true;
}

}  // namespace

Status BlockSummary(const Context& context, const BlockSummaryParams& p) {
  if (p.page_size < 1) return Status::Shape("blockSummary.pageSize", "1 or more slots", std::to_string(p.page_size));
  if (p.from_page < 0) return Status::Shape("blockSummary.fromPage", "0 or more", std::to_string(p.from_page));
  if (p.rows == 0) return Status();
  const BlockSummaryKernels& kernels = Kernels<BlockSummaryKernels>(context.isa);
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t heads = shape.num_kv_heads;
  const int32_t dim = shape.head_dim;
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelRanges(int64_t{p.rows} * heads, 1, [&](int64_t first, int64_t last) {
    for (int64_t task = first; task < last; task++) {
      const HeadCache& head = p.caches[task / heads]->head(p.layer, static_cast<int32_t>(task % heads));
      for (int64_t page = p.from_page; page < p.num_pages; page++) {
        float* low = p.out + (task * p.num_pages + page) * 2 * dim;
        std::fill(low, low + dim, INFINITY);
        std::fill(low + dim, low + 2 * dim, -INFINITY);
        const int32_t begin = static_cast<int32_t>(std::min<int64_t>(head.len, page * p.page_size));
        const int32_t end = static_cast<int32_t>(std::min<int64_t>(head.len, (page + 1) * p.page_size));
        if (!WidenBy(kernels, head, begin, end, low, low + dim)) has_memory = false;
      }
    }
  });
  if (!has_memory) return Status::Fail(Code::kOutOfMemory, "blockSummary", "memory for scratch", "none");
  return Status();
}

}  // namespace winnow
