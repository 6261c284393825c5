#include "numerics.h"
#include "slot_scores.h"

namespace winnow::WINNOW_ISA {

static void Dots(const float* q, const float* rows, int64_t stride, int64_t count, int32_t dim, float* out) {
  for (int64_t i = 0; i < count; i++, rows += stride) {
    Lanes sum = Set(0.0f);
    int32_t c = 0;
    for (; c + kLanes <= dim; c += kLanes) sum = Fma(Load(q + c), Load(rows + c), sum);
    if (c < dim) sum = Fma(LoadPartial(q + c, dim - c), LoadPartial(rows + c, dim - c), sum);
    out[i] = Sum(sum);
  }
}

static inline float Widen(float x) { return x; }
static inline float Widen(Bf16 x) { return FromBf16(x); }

/// Sixteen rows at a time, a lane each: every sum is one accumulator in channel order.
template <class T>
static void Gathered(const float* q, const int32_t* channels, int32_t num_channels, const T* rows, int32_t dim, int32_t count,
                     float* out) {
  alignas(64) float column[kLanes] = {};
  for (int32_t i = 0; i < count; i += kLanes) {
    const int32_t n = count - i < kLanes ? count - i : kLanes;
    Lanes sum = Set(0.0f);
    for (int32_t k = 0; k < num_channels; k++) {
      const T* at = rows + static_cast<int64_t>(i) * dim + channels[k];
      for (int32_t lane = 0; lane < n; lane++) column[lane] = Widen(at[static_cast<int64_t>(lane) * dim]);
      sum = Fma(Set(q[k]), Load(column), sum);
    }
    StorePartial(out + i, sum, n);
  }
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(SlotScoresKernels, {&WINNOW_ISA::Dots, &WINNOW_ISA::Gathered<float>, &WINNOW_ISA::Gathered<Bf16>});
}
