#include <cmath>

#include "gated_activation.h"

namespace winnow {

double GatedActivationReference(double gate, double up, GateKind kind) {
  if (kind == GateKind::kSilu) return gate / (1 + std::exp(-gate)) * up;
  double y = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate);
  return 0.5 * gate * (1 + std::tanh(y)) * up;
}

}  // namespace winnow
