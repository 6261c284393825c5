#include "block_summary.h"

#include "numerics.h"

namespace winnow::WINNOW_ISA {

static inline Lanes LoadSome(const float* p, int n) { return n >= 16 ? Load(p) : LoadPartial(p, n); }
static inline Lanes LoadSome(const Bf16* p, int n) { return n >= 16 ? LoadBf16(p) : LoadBf16Partial(p, n); }

template <class T>
static void Widen(const T* rows, int32_t count, int32_t dim, float* low, float* high) {
  for (int32_t c = 0; c < dim; c += 16) {
    const int n = dim - c;
    Lanes least = LoadSome(low + c, n);
    Lanes most = LoadSome(high + c, n);
    for (int32_t i = 0; i < count; i++) {
      const Lanes x = LoadSome(rows + static_cast<int64_t>(i) * dim + c, n);
      least = Min(x, least);
      most = Max(x, most);
    }
    StorePartial(low + c, least, n);
    StorePartial(high + c, most, n);
  }
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(BlockSummaryKernels, {&WINNOW_ISA::Widen<float>, &WINNOW_ISA::Widen<Bf16>});
}
