#include "slot_norms.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "pool.h"

namespace winnow {

Status SlotNorms(const Context& context, const SlotNormsParams& p) {
  if (p.rows == 0) return Status();
  const SlotNormsKernels& kernels = Kernels<SlotNormsKernels>(context.isa);
  const int32_t heads = p.caches[0]->geometry(p.layer).num_kv_heads;
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelFor(int64_t{p.rows} * heads, [&](int64_t task) {
    const HeadCache& head = p.caches[task / heads]->head(p.layer, static_cast<int32_t>(task % heads));
    float* out = p.out + task * p.max_len;
    for (size_t index = 0; index < head.pages.size(); index++) {
      const Page& page = *head.pages[index];
      const int32_t used = UsedSlots(head.len, static_cast<int32_t>(index));
      const int32_t dim = page.dims[p.what];
      const Plane& plane = page.planes[p.what];
      float* to = out + static_cast<int64_t>(index) * kPageSize;
      if (plane.format.bits != 0) {
        auto* rows = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(kPageSize) * dim * sizeof(float)));
        if (rows == nullptr) {
          has_memory = false;
          return;
        }
        ReadRows(page, p.what, 0, used, rows, dim);
        kernels.f32(rows, used, dim, to);
      } else if (page.element == DType::kF32) {
        kernels.f32(reinterpret_cast<const float*>(plane.data), used, dim, to);
      } else {
        kernels.bf16(reinterpret_cast<const uint16_t*>(plane.data), used, dim, to);
      }
    }
    std::fill(out + head.len, out + p.max_len, -INFINITY);
  });
  if (!has_memory) return Status::Fail(Code::kOutOfMemory, "slotNorms", "memory for scratch", "none");
  return Status();
}

}  // namespace winnow
