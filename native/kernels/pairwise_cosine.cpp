#include "pairwise_cosine.h"

#include <algorithm>
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
  const auto unit = [&](int64_t list, int32_t slot, float* to) {
    const HeadCache& head = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads));
    ReadRows(*head.pages[slot / kPageSize], p.what, slot % kPageSize, 1, to, dim);
    const float norm = rows.norm(to, dim);
    rows.scale(to, norm > 0.0f ? 1.0f / norm : 0.0f, dim);
  };
  const int64_t lists = int64_t{p.rows} * heads;
  const int64_t room = p.right_stride * dim;
  const AlignedBytes memory = AllocateAligned(std::max<size_t>(64, static_cast<size_t>(lists * room) * sizeof(float)));
  if (memory == nullptr) return Status::Fail(Code::kOutOfMemory, "pairwiseCosine", "memory for scratch", "none");
  auto* right = reinterpret_cast<float*>(memory.get());
  Pool& pool = Pool::Instance();
  pool.ParallelRanges(lists * p.right_stride, 64, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at++) {
      const int64_t list = at / p.right_stride;
      if (at % p.right_stride < p.right_lens[list]) unit(list, p.right[at], right + at * dim);
    }
  });
  pool.ParallelRanges(lists * p.left_stride, 16, [&](int64_t begin, int64_t end) {
    float left[256];
    for (int64_t at = begin; at < end; at++) {
      const int64_t list = at / p.left_stride;
      float* line = p.out + at * p.right_stride;
      std::fill(line, line + p.right_stride, -INFINITY);
      if (at % p.left_stride >= p.left_lens[list]) continue;
      unit(list, p.left[at], left);
      dots.dots(left, right + list * room, dim, p.right_lens[list], dim, line);
    }
  });
  return Status();
}

}  // namespace winnow
