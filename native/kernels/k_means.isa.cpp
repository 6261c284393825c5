#include "k_means.h"

#include "numerics.h"

namespace winnow::WINNOW_ISA {

/// Four panels at a time keep four sums in flight; every sum is one accumulator in channel order.
static int32_t Nearest(const float* x, const float* panels, const float* offsets, int32_t count, int32_t dim) {
  alignas(64) float scores[4 * kLanes];
  float best = -__builtin_inff();
  int32_t index = 0;
  const int64_t panel = static_cast<int64_t>(dim) * kLanes;
  for (int32_t first = 0; first < count; first += 4 * kLanes) {
    const int32_t ahead = (count - first + kLanes - 1) / kLanes < 4 ? (count - first + kLanes - 1) / kLanes : 4;
    const float* at = panels + first / kLanes * panel;
    Lanes sum[4] = {Set(0.0f), Set(0.0f), Set(0.0f), Set(0.0f)};
    if (ahead == 4) {
      for (int32_t c = 0; c < dim; c++) {
        const Lanes value = Set(x[c]);
        for (int k = 0; k < 4; k++) sum[k] = Fma(value, Load(at + k * panel + c * kLanes), sum[k]);
      }
    } else {
      for (int32_t k = 0; k < ahead; k++)
        for (int32_t c = 0; c < dim; c++) sum[k] = Fma(Set(x[c]), Load(at + k * panel + c * kLanes), sum[k]);
    }
    for (int32_t k = 0; k < ahead; k++) Store(scores + k * kLanes, Sub(sum[k], Load(offsets + first + k * kLanes)));
    const int32_t n = count - first < ahead * kLanes ? count - first : ahead * kLanes;
    for (int32_t i = 0; i < n; i++) {
      if (scores[i] > best) {
        best = scores[i];
        index = first + i;
      }
    }
  }
  return index;
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(KMeansKernels, {&WINNOW_ISA::Nearest});
}
