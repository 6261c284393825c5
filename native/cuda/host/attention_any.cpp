#include "host_op.h"

using namespace winnow;

WnStatus wn_attention_any(const WnAttentionAnyParams* params, void*) {
  const WnAttentionAnyParams& p = *params;
  const size_t queries = static_cast<size_t>(p.rows) * p.query_len * p.num_query_heads;
  std::vector<double> out(queries * p.head_dim), lse(queries), probs(p.probs ? queries * p.max_slots : 0);
  attention_any_ref(p, out.data(), lse.data(), p.probs ? probs.data() : nullptr);
  round_to(static_cast<uint16_t*>(p.out), out);
  if (p.lse) round_to(p.lse, lse);
  if (p.probs) round_to(p.probs, probs);
  return {};
}
int64_t wn_attention_any_workspace_bytes(const WnAttentionAnyParams*) { return 0; }
