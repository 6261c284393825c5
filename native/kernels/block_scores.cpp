#include "block_scores.h"

#include <algorithm>
#include <cmath>

#include "numerics.h"
#include "pool.h"

namespace winnow {

Status BlockScores(const Context& context, const BlockScoresParams& p) {
  if (p.num_kv_heads < 1 || p.num_query_heads < 1 || p.num_query_heads % p.num_kv_heads != 0) {
    return Status::Shape("blockScores.numQueryHeads", "a multiple of numKvHeads (" + std::to_string(p.num_kv_heads) + ")",
                         std::to_string(p.num_query_heads));
  }
  const BlockScoresKernels& kernels = Kernels<BlockScoresKernels>(context.isa);
  const size_t floats = static_cast<size_t>(p.rows) * p.num_query_heads * p.num_pages;
  const AlignedBytes memory = AllocateAligned(std::max<size_t>(64, floats * sizeof(float)));
  if (memory == nullptr) return Status::Fail(Code::kOutOfMemory, "blockScores", "memory for scratch", "none");
  auto* bounds = reinterpret_cast<float*>(memory.get());
  std::fill(bounds, bounds + floats, -INFINITY);
  Pool::Instance().ParallelRanges(int64_t{p.rows} * p.num_query_heads, 1, [&](int64_t begin, int64_t end) {
    float q[256];
    for (int64_t task = begin; task < end; task++) {
      const int64_t row = task / p.num_query_heads;
      const int64_t head = task % p.num_query_heads;
      const int64_t list = row * p.num_kv_heads + head / (p.num_query_heads / p.num_kv_heads);
      for (int32_t t = 0; t < p.query_len; t++) {
        const int64_t at = ((row * p.query_len + t) * p.num_query_heads + head) * p.head_dim;
        for (int32_t c = 0; c < p.head_dim; c++) {
          q[c] = p.q_type == DType::kBf16 ? FromBf16(static_cast<const Bf16*>(p.q)[at + c])
                                          : static_cast<const float*>(p.q)[at + c];
        }
        kernels.raise(q, p.summary + list * p.num_pages * 2 * p.head_dim, p.num_pages, p.head_dim,
                      bounds + task * p.num_pages);
      }
    }
  });
  const int32_t lists = ListsAfter(p.gqa, p.num_query_heads, p.num_kv_heads);
  for (int64_t row = 0; row < p.rows; row++) {
    ReduceGroups(bounds + row * p.num_query_heads * p.num_pages, p.num_query_heads, p.num_kv_heads, p.num_pages,
                 p.num_pages, p.gqa, p.out + row * lists * p.num_pages);
  }
  return Status();
}

}  // namespace winnow
