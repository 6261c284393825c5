#include "reference.h"

namespace winnow {

void linear_ref(const WnLinearParams& p, double* out) {
  std::vector<double> y(p.rows);
  const int64_t width = p.gate ? p.rows / 2 : p.rows;
  for (int64_t token = 0; token < p.num_tokens; token++) {
    for (int row = 0; row < p.rows; row++) {
      double sum = p.bias ? p.bias[row] : 0;
      for (int c = 0; c < p.cols; c++)
        sum += bf16_value(p.x, token * p.cols + c) * bf16_value(p.weight, static_cast<int64_t>(row) * p.cols + c);
      y[row] = sum;
    }
    for (int64_t i = 0; i < width; i++) {
      const double before = p.accumulate ? static_cast<const float*>(p.out)[token * width + i] : 0;
      const int64_t gate = i / 32 * 64 + i % 32;
      out[token * width + i] = before + (p.gate ? gated_value(y[gate], y[gate + 32], p.gate) : y[i]);
    }
  }
}

}  // namespace winnow
