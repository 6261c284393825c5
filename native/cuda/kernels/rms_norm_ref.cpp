#include <cmath>

#include "reference.h"

namespace winnow {

void rms_norm_ref(const WnRmsNormParams& p, double* out) {
  for (int64_t row = 0; row < p.num_rows; row++) {
    double sum = 0;
    for (int i = 0; i < p.width; i++) {
      const double x = p.x[row * p.width + i];
      sum += x * x;
    }
    for (int i = 0; i < p.width; i++) {
      const int64_t at = row * p.width + i;
      const double before = p.accumulate ? static_cast<const float*>(p.out)[at] : 0;
      out[at] = before + p.x[at] / std::sqrt(sum / p.width + p.epsilon) * (double{p.gain[i]} + p.gain_offset);
    }
  }
}

}  // namespace winnow
