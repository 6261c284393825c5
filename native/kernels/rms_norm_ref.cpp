#include <cmath>

#include "rms_norm.h"

namespace winnow {

void RmsNormReference(const float* x, const float* gain, int64_t num_rows, int64_t width, double eps, double gain_offset,
                      double* out) {
  for (int64_t t = 0; t < num_rows; t++) {
    double sum = 0;
    for (int64_t i = 0; i < width; i++) sum += static_cast<double>(x[t * width + i]) * x[t * width + i];
    double scale = 1 / std::sqrt(sum / static_cast<double>(width) + eps);
    for (int64_t i = 0; i < width; i++) out[t * width + i] = x[t * width + i] * scale * (gain[i] + gain_offset);
  }
}

}  // namespace winnow
