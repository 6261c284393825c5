#include <cmath>

#include "reference.h"

namespace winnow {

void swiglu_ref(const WnSwigluParams& p, double* out) {
  for (int64_t row = 0; row < p.num_rows; row++)
    for (int i = 0; i < p.width; i++) {
      const double gate = bf16_value(p.gate, row * p.gate_stride + i), up = bf16_value(p.up, row * p.up_stride + i);
      out[row * p.width + i] = gate / (1 + std::exp(-gate)) * up;
    }
}

}  // namespace winnow
