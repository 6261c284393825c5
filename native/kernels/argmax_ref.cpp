#include <cmath>

#include "argmax.h"

namespace winnow {

int32_t ArgmaxReference(const float* x, int64_t width) {
  int64_t best = -1;
  for (int64_t i = 0; i < width; i++) {
    if (!std::isnan(x[i]) && (best < 0 || x[i] > x[best])) best = i;
  }
  return best < 0 ? 0 : static_cast<int32_t>(best);
}

}  // namespace winnow
