#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {
namespace {

/// Nearest f16, halves to even, saturated.
double nearest_half(double x) {
  const double size = std::min(std::fabs(x), 65504.0);
  const double step = std::exp2(std::max(std::floor(std::log2(size)), -14.0) - 10);
  return size == 0 ? 0 : std::copysign(std::nearbyint(size / step) * step, x);
}

}  // namespace

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
      const double scale = nearest_half(static_cast<float>(static_cast<float>(high - low) / levels)), minimum = nearest_half(low);
      const double code = scale > 0 ? std::clamp(std::nearbyint((p.x[row * p.dim + channel] - minimum) / scale), 0.0, levels) : 0.0;
      out[row * p.dim + channel] = code * scale + minimum;
    }
}

}  // namespace winnow
