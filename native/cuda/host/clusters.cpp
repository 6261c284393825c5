#include "host_op.h"

using namespace winnow;

WnStatus wn_k_means(const WnKMeansParams* p, void*) {
  const int64_t lists = int64_t{p->cache.rows} * p->cache.num_kv_heads;
  std::vector<double> centroids(static_cast<std::size_t>(lists * p->clusters * p->cache.head_dim));
  k_means_ref(*p, centroids.data(), p->assignment, p->sizes);
  round_to(p->centroids, centroids);
  return {};
}
int64_t wn_k_means_workspace_bytes(const WnKMeansParams*) { return 0; }

WnStatus wn_group_means(const WnGroupMeansParams* p, void*) {
  const int64_t lists = int64_t{p->cache.rows} * p->cache.num_kv_heads;
  std::vector<double> means(static_cast<std::size_t>(lists * p->groups * p->cache.head_dim));
  group_means_ref(*p, means.data());
  round_to(p->means, means);
  return {};
}

WnStatus wn_top_p(const WnTopPParams* p, void*) {
  top_p_ref(*p, p->indices, p->lens);
  return {};
}

WnStatus wn_quantise_round_trip(const WnQuantiseRoundTripParams* p, void*) {
  std::vector<double> out(static_cast<std::size_t>(p->rows * p->dim));
  quantise_round_trip_ref(*p, out.data());
  round_to(p->out, out);
  return {};
}
