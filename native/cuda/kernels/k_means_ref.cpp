#include <algorithm>
#include <cmath>

#include "index.h"
#include "reference.h"

namespace winnow {
namespace {

using Rows = std::vector<std::vector<double>>;

Rows rows_of(const WnCacheView& cache, int64_t list, int what) {
  Rows rows(static_cast<size_t>(cache.kv_lens[list]), std::vector<double>(static_cast<size_t>(cache.head_dim)));
  for (size_t slot = 0; slot < rows.size(); slot++)
    for (int c = 0; c < cache.head_dim; c++)
      rows[slot][static_cast<size_t>(c)] =
          bf16_value(cache.pages, arena_element(cache, arena_slot(cache, list, static_cast<int>(slot)), what) + c);
  return rows;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t c = 0; c < a.size(); c++) sum += (a[c] - b[c]) * (a[c] - b[c]);
  return sum;
}

Rows spaced_seeds(const Rows& x, int64_t clusters) {
  Rows seeds;
  for (int64_t i = 0; i < clusters; i++) seeds.push_back(x[static_cast<size_t>((2 * i + 1) * static_cast<int64_t>(x.size()) / (2 * clusters))]);
  return seeds;
}

Rows plus_plus_seeds(const Rows& x, int64_t clusters, uint64_t seed, uint64_t stream) {
  const size_t first = static_cast<size_t>(uniform_draw(seed, stream, 0) * static_cast<double>(x.size()));
  Rows seeds = {x[std::min(x.size() - 1, first)]};
  std::vector<double> nearest(x.size(), INFINITY);
  while (static_cast<int64_t>(seeds.size()) < clusters) {
    double total = 0, sum = 0;
    for (size_t s = 0; s < x.size(); s++) total += nearest[s] = std::min(nearest[s], distance(x[s], seeds.back()));
    const double wanted = uniform_draw(seed, stream, seeds.size()) * total;
    size_t chosen = 0;
    for (size_t s = 0; s < x.size() && sum <= wanted; s++) {
      sum += nearest[s];
      if (nearest[s] > 0) chosen = s;
    }
    seeds.push_back(x[chosen]);
  }
  return seeds;
}

std::vector<int32_t> assigned(const Rows& x, const Rows& centroids) {
  std::vector<int32_t> assignment;
  for (const auto& row : x) {
    size_t best = 0;
    for (size_t k = 1; k < centroids.size(); k++)
      if (distance(row, centroids[k]) < distance(row, centroids[best])) best = k;
    assignment.push_back(static_cast<int32_t>(best));
  }
  return assignment;
}

/// Mean of the rows of a group; false where it has none.
bool mean_of(const Rows& x, const int32_t* assignment, int32_t group, std::vector<double>& mean) {
  std::vector<double> sum(mean.size(), 0);
  double size = 0;
  for (size_t s = 0; s < x.size(); s++) {
    if (assignment[s] != group) continue;
    size++;
    for (size_t c = 0; c < sum.size(); c++) sum[c] += x[s][c];
  }
  for (size_t c = 0; c < sum.size() && size > 0; c++) mean[c] = sum[c] / size;
  return size > 0;
}

}  // namespace

void k_means_ref(const WnKMeansParams& p, double* centroids, int32_t* assignment, int32_t* sizes) {
  const int64_t lists = int64_t{p.cache.rows} * p.cache.num_kv_heads, d = p.cache.head_dim;
  std::fill(centroids, centroids + lists * p.clusters * d, 0.0);
  std::fill(assignment, assignment + lists * p.max_len, -1);
  std::fill(sizes, sizes + lists * p.clusters, 0);
  for (int64_t list = 0; list < lists; list++) {
    const Rows x = rows_of(p.cache, list, p.what);
    if (x.empty()) continue;
    const int64_t clusters = std::min<int64_t>(p.clusters, static_cast<int64_t>(x.size()));
    const uint64_t stream = p.layer << 20 | static_cast<uint64_t>(list % p.cache.num_kv_heads);
    Rows own = p.seeding == WN_SEEDS_SPACED ? spaced_seeds(x, clusters) : plus_plus_seeds(x, clusters, p.seed, stream);
    std::vector<int32_t> of_slots = assigned(x, own);
    for (int round = 0; round < p.iterations; round++) {
      for (int64_t k = 0; k < clusters; k++) mean_of(x, of_slots.data(), static_cast<int32_t>(k), own[static_cast<size_t>(k)]);
      of_slots = assigned(x, own);
    }
    for (int64_t k = 0; k < clusters; k++) std::copy(own[static_cast<size_t>(k)].begin(), own[static_cast<size_t>(k)].end(), centroids + (list * p.clusters + k) * d);
    std::copy(of_slots.begin(), of_slots.end(), assignment + list * p.max_len);
    for (int32_t k : of_slots) sizes[list * p.clusters + k]++;
  }
}

void group_means_ref(const WnGroupMeansParams& p, double* means) {
  for (int64_t list = 0; list < int64_t{p.cache.rows} * p.cache.num_kv_heads; list++) {
    const Rows x = rows_of(p.cache, list, p.what);
    for (int32_t group = 0; group < p.groups; group++) {
      std::vector<double> mean(static_cast<size_t>(p.cache.head_dim), 0);
      mean_of(x, p.assignment + list * p.max_len, group, mean);
      std::copy(mean.begin(), mean.end(), means + (list * p.groups + group) * p.cache.head_dim);
    }
  }
}

}  // namespace winnow
