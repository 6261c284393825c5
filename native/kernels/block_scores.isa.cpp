#include "block_scores.h"

#include "numerics.h"

namespace winnow::WINNOW_ISA {

static void Raise(const float* q, const float* summary, int64_t num_pages, int32_t dim, float* out) {
  for (int64_t page = 0; page < num_pages; page++, summary += 2 * dim) {
    if (summary[0] > summary[dim]) continue;  // no members
    Lanes sum = Set(0.0f);
    int32_t c = 0;
    for (; c + 16 <= dim; c += 16) {
      const Lanes x = Load(q + c);
      sum = Add(sum, Max(Mul(x, Load(summary + c)), Mul(x, Load(summary + dim + c))));
    }
    if (c < dim) {
      const Lanes x = LoadPartial(q + c, dim - c);
      sum = Add(sum, Max(Mul(x, LoadPartial(summary + c, dim - c)), Mul(x, LoadPartial(summary + dim + c, dim - c))));
    }
    const float bound = Sum(sum);
    out[page] = bound > out[page] ? bound : out[page];
  }
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(BlockScoresKernels, {&WINNOW_ISA::Raise});
}
