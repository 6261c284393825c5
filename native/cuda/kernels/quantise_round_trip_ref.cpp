#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {
void quantise_round_trip_ref(const WnQuantiseRoundTripParams& p, double* out) {
  const double levels = (1 << p.bits) - 1;
  for (int64_t row = 0; row < p.rows; row++)
    for (int64_t channel = 0; channel < p.dim; channel++) {
      double low = INFINITY, high = -INFINITY;
      for (int64_t i = 0; i < p.group; i++) {
        const int64_t r = p.along == 0 ? row / p.group * p.group + i : row;
        const int64_t c = p.along == 0 ? channel : channel / p.group * p.group + i;
        const double x = std::clamp<double>(p.x[r * p.dim + c], -65504, 65504);
        low = std::min(low, x);
        high = std::max(high, x);
      }
      const double scale = half_value(to_half(static_cast<float>(high - low) / static_cast<float>(levels)));
      const double minimum = half_value(to_half(low));
      const double code = scale > 0 ? std::clamp(std::nearbyint((p.x[row * p.dim + channel] - minimum) / scale), 0.0, levels) : 0.0;
      out[row * p.dim + channel] = code * scale + minimum;
    }
}

}  // namespace winnow
