#ifndef WINNOW_CUDA_ATTENTION_REF_H
#define WINNOW_CUDA_ATTENTION_REF_H

#include <cmath>
#include <limits>
#include <vector>

namespace winnow {

/// One query row over listed keys, two passes: what every attention reference ends in. `score(j)` and `value(j, d)` are
/// read for j in 0 .. count - 1.
template <typename Score, typename Value>
void attend(int count, int head_dim, Score score, Value value, double* out, double* lse) {
  double best = -std::numeric_limits<double>::infinity();
  std::vector<double> scores(count);
  for (int j = 0; j < count; j++) best = std::fmax(best, scores[j] = score(j));
  for (int d = 0; d < head_dim; d++) out[d] = 0;
  if (lse) *lse = best;
  if (!(best > -std::numeric_limits<double>::infinity())) return;
  double total = 0;
  for (int j = 0; j < count; j++) {
    const double weight = std::exp(scores[j] - best);
    total += weight;
    for (int d = 0; d < head_dim; d++) out[d] += weight * value(j, d);
  }
  for (int d = 0; d < head_dim; d++) out[d] /= total;
  if (lse) *lse = best + std::log(total);
}

}  // namespace winnow

#endif
