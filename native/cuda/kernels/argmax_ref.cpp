#include <cmath>

#include "reference.h"

namespace winnow {

void argmax_ref(const WnArgmaxParams& p, int32_t* index) {
  for (int row = 0; row < p.num_rows; row++) {
    const float* logits = p.logits + row * p.row_stride;
    int best = -1;
    for (int i = 0; i < p.width; i++)
      if (best < 0 || logits[i] > logits[best] || (std::isnan(logits[best]) && !std::isnan(logits[i]))) best = i;
    index[row] = best;
  }
}

}  // namespace winnow
