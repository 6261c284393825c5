#include "host_op.h"

using namespace winnow;

WnStatus wn_channel_scores(const WnChannelScoresParams* p, void*) {
  const int64_t lists = lists_after_ref(p->gqa, p->num_query_heads, p->cache.num_kv_heads);
  std::vector<double> scores(static_cast<std::size_t>(p->cache.rows * lists * p->max_len));
  channel_scores_ref(*p, scores.data());
  round_to(p->scores, scores);
  return {};
}

WnStatus wn_plane_scores(const WnPlaneScoresParams* p, void*) {
  const int64_t lists = lists_after_ref(p->gqa, p->num_query_heads, p->num_kv_heads);
  std::vector<double> scores(static_cast<std::size_t>(p->rows * lists * p->max_len));
  plane_scores_ref(*p, scores.data());
  round_to(p->scores, scores);
  return {};
}

WnStatus wn_project_slots(const WnProjectSlotsParams* p, void*) {
  std::vector<double> out(static_cast<std::size_t>(int64_t{p->cache.rows} * p->cache.num_kv_heads * p->max_len * p->rank));
  project_slots_ref(*p, out.data());
  round_to(p->out, out);
  return {};
}

WnStatus wn_project_queries(const WnProjectQueriesParams* p, void*) {
  std::vector<double> out(static_cast<std::size_t>(p->num_tokens * p->num_query_heads * p->rank));
  project_queries_ref(*p, out.data());
  round_to(p->out, out);
  return {};
}

WnStatus wn_pairwise_cosine(const WnPairwiseCosineParams* p, void*) {
  const int64_t lists = int64_t{p->cache.rows} * p->cache.num_kv_heads;
  std::vector<double> out(static_cast<std::size_t>(lists * p->left_stride * p->right_stride));
  pairwise_cosine_ref(*p, out.data());
  round_to(p->out, out);
  return {};
}
