#include <cmath>

#include "reference.h"

namespace winnow {

void elementwise_ref(const WnElementwiseParams& p, double* out) {
  const auto* y = static_cast<const float*>(p.y);
  for (int64_t i = 0; i < p.count; i++) {
    const double x = element_value(p.x, i, p.x_type);
    switch (p.op) {
      case WN_ELEMENT_SOFT_CAP: out[i] = p.a * std::tanh(x / p.a); break;
      case WN_ELEMENT_AXPBY: {
        const double other = y ? y[i] : 0;
        const bool is_missing = x == -INFINITY || other == -INFINITY;
        out[i] = is_missing ? -INFINITY : p.a * x + (y ? p.b * other : 0);
        break;
      }
      case WN_ELEMENT_SCALE_ROWS: out[i] = x * y[i / p.row_len]; break;
      case WN_ELEMENT_ADD_ROWS: out[i] = x + static_cast<const int32_t*>(p.y)[i / p.row_len]; break;
      case WN_ELEMENT_ADD_BIAS: out[i] = x + y[i % p.row_len]; break;
      case WN_ELEMENT_MIX:
        out[i] = 0;
        for (int part = 0; part < p.parts; part++) {
          const double gate = y[i / p.row_len * p.parts + part];
          if (gate != 0) out[i] += gate * static_cast<const float*>(p.x)[part * p.count + i];
        }
        break;
      default: out[i] = x;
    }
  }
}

}  // namespace winnow
