#include "pairwise_cosine.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "cache_merge.h"
#include "pool.h"
#include "slot_scores.h"

namespace winnow {

Status PairwiseCosine(const Context& context, const PairwiseCosineParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t heads = shape.num_kv_heads;
  const int32_t dim = p.what == 0 ? shape.head_dim : shape.head_dim_v;
  for (int64_t list = 0; list < int64_t{p.rows} * heads; list++) {
    const int32_t len = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads)).len;
    for (const auto& [slots, stride, lens] : {std::tuple{p.left, p.left_stride, p.left_lens}, {p.right, p.right_stride, p.right_lens}}) {
      if (lens[list] < 0 || lens[list] > stride) {
        return Status::Shape("pairwiseCosine.lens", "0 to " + std::to_string(stride) + " slots", std::to_string(lens[list]));
      }
      for (int32_t i = 0; i < lens[list]; i++) {
        const int32_t slot = slots[list * stride + i];
        if (slot < 0 || slot >= len) return Status::Shape("pairwiseCosine.slots", "slots below " + std::to_string(len), std::to_string(slot));
      }
    }
  }
  const SlotScoresKernels& dots = Kernels<SlotScoresKernels>(context.isa);
  const MergeKernels& rows = Kernels<MergeKernels>(context.isa);
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelFor(int64_t{p.rows} * heads, [&](int64_t list) {
    const HeadCache& head = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads));
    const int32_t width = p.right_lens[list];
    auto* right = static_cast<float*>(Pool::Scratch(0, std::max<size_t>(64, static_cast<size_t>(width) * dim * sizeof(float))));
    if (right == nullptr) {
      has_memory = false;
      return;
    }
    const auto unit = [&](int32_t slot, float* to) {
      ReadRows(*head.pages[slot / kPageSize], p.what, slot % kPageSize, 1, to, dim);
      const float norm = rows.norm(to, dim);
      rows.scale(to, norm > 0.0f ? 1.0f / norm : 0.0f, dim);
    };
    for (int32_t i = 0; i < width; i++) unit(p.right[list * p.right_stride + i], right + static_cast<int64_t>(i) * dim);
    float left[256];
    for (int64_t i = 0; i < p.left_stride; i++) {
      float* line = p.out + (list * p.left_stride + i) * p.right_stride;
      std::fill(line, line + p.right_stride, -INFINITY);
      if (i >= p.left_lens[list]) continue;
      unit(p.left[list * p.left_stride + i], left);
      dots.dots(left, right, dim, width, dim, line);
    }
  });
  if (!has_memory) return Status::Fail(Code::kOutOfMemory, "pairwiseCosine", "memory for scratch", "none");
  return Status();
}

}  // namespace winnow
