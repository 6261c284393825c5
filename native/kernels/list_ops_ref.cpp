#include <algorithm>
#include <cmath>

#include "list_ops.h"

namespace winnow {

TopKResult TopPRef(const TopPParams& p) {
  TopKResult result;
  result.offsets.assign(1, 0);
  for (int64_t list = 0; list < p.lists; list++) {
    const float* weights = p.weights + list * p.length;
    std::vector<int32_t> valid;
    double total = 0;
    for (int32_t i = 0; i < p.length; i++) {
      if (!(weights[i] > -INFINITY)) continue;
      valid.push_back(i);
      total += weights[i];
    }
    const auto n = static_cast<int32_t>(valid.size());
    std::vector<int32_t> chosen;
    double sum = 0;
    std::vector<uint8_t> is_taken(n, 0);
    for (int32_t k = 0; k < n; k++) is_taken[k] = k < p.protect_first || n - 1 - k < p.protect_last;
    for (int32_t k = 0; k < n; k++) sum += is_taken[k] ? weights[valid[k]] : 0.0f;
    while (sum < p.mass * total) {
      int32_t best = -1;
      for (int32_t k = 0; k < n; k++) {
        if (!is_taken[k] && (best < 0 || weights[valid[k]] > weights[valid[best]])) best = k;
      }
      if (best < 0) break;
      is_taken[best] = 1;
      sum += weights[valid[best]];
    }
    for (int32_t k = 0; k < n; k++)
      if (is_taken[k]) result.values.push_back(valid[k]);
    result.offsets.push_back(static_cast<int64_t>(result.values.size()));
  }
  return result;
}

}  // namespace winnow
