#include <cmath>

#include "rope.h"

namespace winnow {

void RopeReference(const double* x, const float* gain, double eps, const float* cos_sin, int32_t rope_dims, int32_t head_dim,
                   double* out) {
  double scale = 1;
  if (gain != nullptr) {
    double sum = 0;
    for (int32_t i = 0; i < head_dim; i++) sum += x[i] * x[i];
    scale = 1 / std::sqrt(sum / head_dim + eps);
  }
  for (int32_t i = 0; i < head_dim; i++) out[i] = x[i] * scale * (gain == nullptr ? 1.0 : static_cast<double>(gain[i]));
  if (cos_sin == nullptr) return;
  int32_t half = rope_dims / 2;
  for (int32_t i = 0; i < half; i++) {
    double a = out[i], b = out[i + half], c = cos_sin[i], s = cos_sin[half + i];
    out[i] = a * c - b * s;
    out[i + half] = b * c + a * s;
  }
}

}  // namespace winnow
