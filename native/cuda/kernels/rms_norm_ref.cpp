#include <cmath>

#include "reference.h"

namespace winnow {

void rms_norm_ref(const WnRmsNormParams& p, double* out, uint16_t* residual) {
  for (int64_t row = 0; row < p.num_rows; row++) {
    std::vector<double> x(p.width);
    double squares = 0;
    for (int i = 0; i < p.width; i++) {
      const int64_t at = row * p.width + i;
      x[i] = bf16_value(p.x, at);
      if (p.residual) {
        residual[at] = to_bf16(x[i] + bf16_value(p.residual, at));
        x[i] = bf16_value(residual, at);
      }
      squares += x[i] * x[i];
    }
    const double factor = 1 / std::sqrt(squares / p.width + p.epsilon);
    for (int i = 0; i < p.width; i++) out[row * p.width + i] = x[i] * factor * bf16_value(p.weight, i);
  }
}

}  // namespace winnow
