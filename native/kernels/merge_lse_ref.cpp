#include <algorithm>
#include <cmath>

#include "merge_lse.h"

namespace winnow {

void MergeLseRef(const MergeLseParams& p, double* out, double* lse) {
  for (int64_t row = 0; row < p.rows; row++) {
    double largest = -INFINITY;
    for (int64_t part = 0; part < p.num_parts; part++) {
      largest = std::max(largest, static_cast<double>(p.lses[part * p.rows + row]));
    }
    std::fill(out + row * p.width, out + (row + 1) * p.width, 0.0);
    lse[row] = -INFINITY;
    if (largest == -INFINITY) continue;
    double sum = 0;
    for (int64_t part = 0; part < p.num_parts; part++) sum += std::exp(p.lses[part * p.rows + row] - largest);
    lse[row] = largest + std::log(sum);
    for (int64_t part = 0; part < p.num_parts; part++) {
      const double weight = std::exp(p.lses[part * p.rows + row] - lse[row]);
      for (int64_t c = 0; c < p.width && weight > 0; c++) {
        out[row * p.width + c] += weight * p.outs[(part * p.rows + row) * p.width + c];
      }
    }
  }
}

}  // namespace winnow
