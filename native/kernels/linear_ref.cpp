#include "linear.h"

namespace winnow {

void LinearReference(const double* x, int64_t num_rows, const double* weight, int64_t rows, int64_t cols, const float* bias,
                     double* out) {
  for (int64_t t = 0; t < num_rows; t++) {
    for (int64_t n = 0; n < rows; n++) {
      double sum = 0;
      for (int64_t k = 0; k < cols; k++) sum += x[t * cols + k] * weight[n * cols + k];
      out[t * rows + n] += sum + (bias == nullptr ? 0.0 : static_cast<double>(bias[n]));
    }
  }
}

}  // namespace winnow
