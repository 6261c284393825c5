#include <algorithm>
#include <vector>

#include "k_means.h"

namespace winnow {

void KMeansReference(const double* x, int64_t n, int32_t dim, const double* seeds, int32_t clusters, int32_t iterations,
                     double* centroids, int32_t* assignment) {
  std::copy(seeds, seeds + int64_t{clusters} * dim, centroids);
  for (int32_t round = 0; round <= iterations; round++) {
    for (int64_t i = 0; i < n; i++) {
      double best = 0;
      for (int32_t k = 0; k < clusters; k++) {
        double distance = 0;
        for (int32_t c = 0; c < dim; c++) distance += (x[i * dim + c] - centroids[k * dim + c]) * (x[i * dim + c] - centroids[k * dim + c]);
        if (k == 0 || distance < best) {
          best = distance;
          assignment[i] = k;
        }
      }
    }
    if (round == iterations) return;
    for (int32_t k = 0; k < clusters; k++) {
      std::vector<double> sum(dim, 0.0);
      int64_t size = 0;
      for (int64_t i = 0; i < n; i++) {
        if (assignment[i] != k) continue;
        size++;
        for (int32_t c = 0; c < dim; c++) sum[c] += x[i * dim + c];
      }
      for (int32_t c = 0; c < dim && size > 0; c++) centroids[k * dim + c] = sum[c] / static_cast<double>(size);
    }
  }
}

void GroupMeansRef(const GroupMeansParams& p, double* out) {
  const int32_t heads = p.caches[0]->geometry(p.layer).num_kv_heads;
  float row[256];
  for (int64_t list = 0; list < int64_t{p.rows} * heads; list++) {
    const HeadCache& head = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads));
    const int32_t dim = head.pages[0]->dims[p.what];
    for (int32_t group = 0; group < p.groups; group++) {
      double* mean = out + (list * p.groups + group) * dim;
      std::fill(mean, mean + dim, 0.0);
      int32_t size = 0;
      for (int32_t s = 0; s < head.len; s++) {
        if (p.assignment[list * p.max_len + s] != group) continue;
        size++;
        ReadRows(*head.pages[s / kPageSize], p.what, s % kPageSize, 1, row, 256);
        for (int32_t c = 0; c < dim; c++) mean[c] += row[c];
      }
      for (int32_t c = 0; c < dim && size > 0; c++) mean[c] /= size;
    }
  }
}

}  // namespace winnow
