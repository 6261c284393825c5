#include <cmath>

#include "reference.h"

namespace winnow {

double gated_value(double gate, double up, int kind) {
  if (kind == WN_GATE_SILU) return gate / (1 + std::exp(-gate)) * up;
  return 0.5 * gate * (1 + std::tanh(std::sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate))) * up;
}

void gated_activation_ref(const WnGatedActivationParams& p, double* out) {
  for (int64_t row = 0; row < p.num_rows; row++)
    for (int i = 0; i < p.width; i++) {
      const int64_t gate = row * 2 * p.width + (p.is_woven ? i / 32 * 64 + i % 32 : i);
      const int64_t up = gate + (p.is_woven ? 32 : p.width);
      out[row * p.width + i] =
          gated_value(element_value(p.gate_up, gate, p.in_type), element_value(p.gate_up, up, p.in_type), p.gate);
    }
}

}  // namespace winnow
