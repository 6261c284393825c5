#include <cmath>
#include <vector>

#include "cache_merge.h"

namespace winnow {

void MergeMeanReference(const double* rows, const double* weights, int32_t count, int32_t dim, double* out) {
  double total = 0;
  for (int32_t i = 0; i < count; i++) total += weights[i];
  for (int32_t c = 0; c < dim; c++) {
    double sum = 0;
    for (int32_t i = 0; i < count; i++) sum += weights[i] * rows[i * dim + c];
    out[c] = sum / total;
  }
}

void MergeDirectionReference(const double* rows, const double* weights, int32_t count, int32_t dim, double* out) {
  std::vector<double> units(static_cast<size_t>(count) * dim);
  double total = 0;
  double norms = 0;
  for (int32_t i = 0; i < count; i++) {
    double square = 0;
    for (int32_t c = 0; c < dim; c++) square += rows[i * dim + c] * rows[i * dim + c];
    const double norm = std::sqrt(square);
    for (int32_t c = 0; c < dim; c++) units[i * dim + c] = norm == 0 ? 0 : rows[i * dim + c] / norm;
    total += weights[i];
    norms += weights[i] * norm;
  }
  MergeMeanReference(units.data(), weights, count, dim, out);
  double square = 0;
  for (int32_t c = 0; c < dim; c++) square += out[c] * out[c];
  for (int32_t c = 0; c < dim; c++) out[c] = square == 0 ? 0 : out[c] / std::sqrt(square) * (norms / total);
}

}  // namespace winnow
