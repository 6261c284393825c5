#include "host_op.h"

using namespace winnow;

WnStatus wn_attend_sets(const WnAttendSetsParams* params, void*) {
  const WnAttendSetsParams& p = *params;
  const auto queries = static_cast<size_t>(p.cache.rows) * p.query_len * p.num_query_heads;
  std::vector<double> out(queries * p.cache.head_dim), lse(queries);
  attend_sets_ref(p, out.data(), lse.data());
  if (p.out_f32)
    round_to(static_cast<float*>(p.out), out);
  else
    round_to(static_cast<uint16_t*>(p.out), out);
  if (p.lse) round_to(p.lse, lse);
  return {};
}
int64_t wn_attend_sets_workspace_bytes(const WnAttendSetsParams*) { return 0; }

WnStatus wn_lse_merge(const WnLseMergeParams* params, void*) {
  const WnLseMergeParams& p = *params;
  std::vector<double> out(static_cast<size_t>(p.num_rows) * p.head_dim), lse(static_cast<size_t>(p.num_rows));
  lse_merge_ref(p, out.data(), lse.data());
  if (p.out_f32)
    round_to(static_cast<float*>(p.out), out);
  else
    round_to(static_cast<uint16_t*>(p.out), out);
  if (p.lse) round_to(p.lse, lse);
  return {};
}
