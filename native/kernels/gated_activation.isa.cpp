#include "gated_activation.h"

#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

inline Lanes Activate(Lanes gate, Lanes up, GateKind kind) {
  Lanes exponent;
  if (kind == GateKind::kSilu) {
    exponent = Sub(Set(0), gate);
  } else {
    Lanes cubic = Mul(Mul(gate, gate), gate);
    exponent = Mul(Set(-1.5957691216f), Fma(Set(0.044715f), cubic, gate));  // -2 sqrt(2 / pi)
  }
  return Mul(Div(gate, Add(Set(1), Exp(exponent))), up);
}

inline Lanes LoadAny(const void* p, int64_t i, int n, bool bf16) {
  if (bf16) {
    auto* at = static_cast<const Bf16*>(p) + i;
    return n == kLanes ? LoadBf16(at) : LoadBf16Partial(at, n);
  }
  auto* at = static_cast<const float*>(p) + i;
  return n == kLanes ? Load(at) : LoadPartial(at, n);
}

inline void StoreAny(void* p, int64_t i, int n, bool bf16, Lanes v) {
  if (bf16) {
    auto* at = static_cast<Bf16*>(p) + i;
    if (n == kLanes) StoreBf16(at, v); else StoreBf16Partial(at, v, n);
    return;
  }
  auto* at = static_cast<float*>(p) + i;
  if (n == kLanes) Store(at, v); else StorePartial(at, v, n);
}

void Row(const void* gate, const void* up, bool bf16_in, GateKind kind, int64_t width, void* out, bool bf16_out) {
  for (int64_t i = 0; i < width; i += kLanes) {
    int n = width - i < kLanes ? static_cast<int>(width - i) : kLanes;
    StoreAny(out, i, n, bf16_out, Activate(LoadAny(gate, i, n, bf16_in), LoadAny(up, i, n, bf16_in), kind));
  }
}

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(GatedActivationKernels, {&WINNOW_ISA::Row});

}  // namespace winnow
