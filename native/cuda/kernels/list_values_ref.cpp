#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {

void list_values_ref(const WnListValuesParams& p, double* out) {
  for (int64_t list = 0; list < p.num_lists; list++) {
    const float* x = p.x + list * p.length;
    double largest = -INFINITY, sum = 0, weighted = 0;
    int best = -1;
    for (int i = 0; i < p.length; i++)
      if (x[i] > largest) largest = x[i], best = i;
    if (p.op == WN_LIST_ARGMAX) {
      out[list] = best;
    } else if (p.op == WN_LIST_ENTROPY) {
      for (int i = 0; i < p.length; i++)
        if (x[i] > 0) sum += x[i], weighted += x[i] * std::log(static_cast<double>(x[i]));
      out[list] = sum > 0 ? std::max(0.0, std::log(sum) - weighted / sum) : 0;
    } else {
      for (int i = 0; i < p.length; i++) sum += x[i] == -INFINITY ? 0 : std::exp(x[i] - largest);
      for (int i = 0; i < p.length; i++)
        out[list * p.length + i] = x[i] == -INFINITY ? -INFINITY : std::exp(x[i] - largest) / sum;
    }
  }
}

}  // namespace winnow
