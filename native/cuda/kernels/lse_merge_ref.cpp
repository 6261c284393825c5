#include <cmath>

#include "reference.h"

namespace winnow {

void lse_merge_ref(const WnLseMergeParams& p, double* out, double* lse) {
  for (int64_t row = 0; row < p.num_rows; row++) {
    double best = -INFINITY, total = 0;
    for (int part = 0; part < p.num_parts; part++)
      best = std::fmax(best, p.part_lse[int64_t{part} * p.num_rows + row]);
    for (int d = 0; d < p.head_dim; d++) out[row * p.head_dim + d] = 0;
    if (lse) lse[row] = best;
    if (best == -INFINITY) continue;
    for (int part = 0; part < p.num_parts; part++) {
      const int64_t at = int64_t{part} * p.num_rows + row;
      const double weight = std::exp(p.part_lse[at] - best);
      total += weight;
      for (int d = 0; weight > 0 && d < p.head_dim; d++)
        out[row * p.head_dim + d] += weight * p.part_out[at * p.head_dim + d];
    }
    for (int d = 0; d < p.head_dim; d++) out[row * p.head_dim + d] /= total;
    if (lse) lse[row] = best + std::log(total);
  }
}

}  // namespace winnow
