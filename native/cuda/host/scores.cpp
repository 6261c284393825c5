#include "host_op.h"

using namespace winnow;

WnStatus wn_window_scores(const WnWindowScoresParams* p, void*) {
  const int64_t lists = lists_after_ref(p->gqa, p->num_query_heads, p->cache.num_kv_heads);
  std::vector<double> scores(static_cast<std::size_t>(p->cache.rows * lists * p->max_len));
  window_scores_ref(*p, scores.data());
  round_to(p->scores, scores);
  return {};
}
int64_t wn_window_scores_workspace_bytes(const WnWindowScoresParams*) { return 0; }

WnStatus wn_slot_norms(const WnSlotNormsParams* p, void*) {
  std::vector<double> norms(static_cast<std::size_t>(int64_t{p->cache.rows} * p->cache.num_kv_heads * p->max_len));
  slot_norms_ref(*p, norms.data());
  round_to(p->norms, norms);
  return {};
}

WnStatus wn_block_summary(const WnBlockSummaryParams* p, void*) {
  const int64_t lists = int64_t{p->cache.rows} * p->cache.num_kv_heads, width = int64_t{2} * p->cache.head_dim;
  std::vector<double> summary(p->summary, p->summary + lists * p->num_blocks * width);
  block_summary_ref(*p, summary.data());
  round_to(p->summary, summary);
  return {};
}

WnStatus wn_block_scores(const WnBlockScoresParams* p, void*) {
  std::vector<double> scores(
      static_cast<std::size_t>(int64_t{p->rows} * lists_after_ref(p->gqa, p->num_query_heads, p->num_kv_heads) * p->num_blocks));
  block_scores_ref(*p, scores.data());
  round_to(p->scores, scores);
  return {};
}

WnStatus wn_random_scores(const WnRandomScoresParams* p, void*) {
  random_scores_ref(*p, p->scores);
  return {};
}

WnStatus wn_top_k(const WnTopKParams* p, void*) {
  top_k_ref(*p, p->indices, p->lens);
  return {};
}
int64_t wn_top_k_workspace_bytes(const WnTopKParams*) { return 0; }

WnStatus wn_list_values(const WnListValuesParams* p, void*) {
  std::vector<double> out(static_cast<std::size_t>(p->num_lists * (p->op == WN_LIST_SOFTMAX ? p->length : 1)));
  list_values_ref(*p, out.data());
  if (p->op == WN_LIST_ARGMAX) round_to(static_cast<int32_t*>(p->out), out);
  else round_to(static_cast<float*>(p->out), out);
  return {};
}

WnStatus wn_list_moves(const WnListMovesParams* p, void*) {
  list_moves_ref(*p);
  return {};
}
