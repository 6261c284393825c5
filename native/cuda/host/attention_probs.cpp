#include "host_op.h"

using namespace winnow;

WnStatus wn_attention_probs(const WnAttentionProbsParams* params, void*) {
  const WnAttentionProbsParams& p = *params;
  std::vector<double> probs(static_cast<std::size_t>(p.cache.rows * p.num_query_heads * p.max_slots));
  attention_probs_ref(p, probs.data());
  round_to(p.probs, probs);
  return {};
}
