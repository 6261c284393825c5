#include <algorithm>
#include <cmath>

#include "numerics.h"
#include "quantise.h"

namespace winnow {

void QuantiseRoundTripRef(const float* x, int32_t rows, int32_t dim, PlaneFormat format, double* out) {
  const double levels = (1 << format.bits) - 1;
  for (int32_t row = 0; row < rows; row++) {
    for (int32_t channel = 0; channel < dim; channel++) {
      double low = INFINITY;
      double high = -INFINITY;
      for (int32_t i = 0; i < format.group; i++) {
        const int32_t r = format.along == 0 ? row / format.group * format.group + i : row;
        const int32_t c = format.along == 0 ? channel : channel / format.group * format.group + i;
        low = std::min(low, static_cast<double>(x[static_cast<int64_t>(r) * dim + c]));
        high = std::max(high, static_cast<double>(x[static_cast<int64_t>(r) * dim + c]));
      }
      const double range = static_cast<float>(high - low);  // stored scales are derived in f32
      const double scale = FromF16(ToF16(static_cast<float>(range / levels)));
      const double minimum = FromF16(ToF16(static_cast<float>(low)));
      const double value = x[static_cast<int64_t>(row) * dim + channel];
      const double code = scale > 0 ? std::clamp(std::nearbyint((value - minimum) / scale), 0.0, levels) : 0.0;
      out[static_cast<int64_t>(row) * dim + channel] = code * scale + minimum;
    }
  }
}

}  // namespace winnow
