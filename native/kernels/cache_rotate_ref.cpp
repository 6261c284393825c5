#include "cache_rotate.h"

namespace winnow {

void RotateReference(double* key, const float* cos_sin, int32_t rope_dims, int32_t delta, double scale) {
  const int32_t half = rope_dims / 2;
  const float* row = cos_sin + static_cast<int64_t>(delta < 0 ? -delta : delta) * rope_dims;
  for (int32_t i = 0; i < half; i++) {
    const double c = row[i] / scale;
    const double s = (delta < 0 ? -row[half + i] : row[half + i]) / scale;
    const double a = key[i];
    const double b = key[half + i];
    key[i] = a * c - b * s;
    key[half + i] = b * c + a * s;
  }
}

}  // namespace winnow
