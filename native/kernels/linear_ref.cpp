#include "linear.h"

namespace winnow {

void LinearReference(const double* x, int64_t num_rows, const PackedMatrix& weight, const float* bias, double* out) {
  for (int64_t t = 0; t < num_rows; t++) {
    for (int64_t n = 0; n < weight.rows; n++) {
      double sum = 0;
      for (int64_t k = 0; k < weight.cols; k++) sum += x[t * weight.cols + k] * static_cast<double>(WeightAt(weight, n, k));
      out[t * weight.rows + n] += sum + (bias == nullptr ? 0.0 : static_cast<double>(bias[n]));
    }
  }
}

}  // namespace winnow
