#include "merge_lse.h"

#include "exact_log.h"
#include "numerics.h"

namespace winnow::WINNOW_ISA {

static float ExpOne(float x) {
  alignas(64) float lanes[16];
  Store(lanes, Exp(Set(x)));
  return lanes[0];
}

static void MergeRows(const MergeLseParams& p, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; row++) {
    float largest = -INFINITY;
    for (int64_t part = 0; part < p.num_parts; part++) {
      const float lse = p.lses[part * p.rows + row];
      largest = lse > largest ? lse : largest;
    }
    float sum = 0.0f;
    for (int64_t part = 0; part < p.num_parts && largest > -INFINITY; part++) {
      sum += ExpOne(p.lses[part * p.rows + row] - largest);
    }
    float* out = p.out + row * p.width;
    for (int64_t c = 0; c < p.width; c++) out[c] = 0.0f;
    p.lse[row] = sum > 0.0f ? largest + ExactLog(sum) : -INFINITY;
    if (sum == 0.0f) continue;
    const float inverse = 1.0f / sum;
    for (int64_t part = 0; part < p.num_parts; part++) {
      const float lse = p.lses[part * p.rows + row];
      if (lse == -INFINITY) continue;
      const Lanes weight = Set(ExpOne(lse - largest) * inverse);
      const float* from = p.outs + (part * p.rows + row) * p.width;
      int64_t c = 0;
      for (; c + 16 <= p.width; c += 16) Store(out + c, Fma(Load(from + c), weight, Load(out + c)));
      const int tail = static_cast<int>(p.width - c);
      if (tail > 0) StorePartial(out + c, Fma(LoadPartial(from + c, tail), weight, LoadPartial(out + c, tail)), tail);
    }
  }
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(MergeLseKernels, {&WINNOW_ISA::MergeRows});
}
