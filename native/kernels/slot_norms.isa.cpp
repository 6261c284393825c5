#include "slot_norms.h"

#include "numerics.h"

namespace winnow::WINNOW_ISA {

static inline Lanes LoadAny(const float* p) { return Load(p); }
static inline Lanes LoadAny(const Bf16* p) { return LoadBf16(p); }
static inline Lanes LoadAnyPartial(const float* p, int n) { return LoadPartial(p, n); }
static inline Lanes LoadAnyPartial(const Bf16* p, int n) { return LoadBf16Partial(p, n); }

template <class T>
static void Norms(const T* rows, int32_t count, int32_t dim, float* out) {
  for (int32_t i = 0; i < count; i++, rows += dim) {
    Lanes sum = Set(0.0f);
    int32_t c = 0;
    for (; c + 16 <= dim; c += 16) {
      const Lanes x = LoadAny(rows + c);
      sum = Fma(x, x, sum);
    }
    if (c < dim) {
      const Lanes x = LoadAnyPartial(rows + c, dim - c);
      sum = Fma(x, x, sum);
    }
    out[i] = __builtin_sqrtf(Sum(sum));
  }
}

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(SlotNormsKernels, {&WINNOW_ISA::Norms<float>, &WINNOW_ISA::Norms<Bf16>});
}
