#include "host_op.h"

using namespace winnow;

WnStatus wn_column_stats(const WnColumnStatsParams* params, void*) {
  const WnColumnStatsParams& p = *params;
  const size_t values = (p.reduce == WN_COLUMN_VARIANCE ? 4 : 2) * static_cast<size_t>(p.num_query_heads * p.width);
  std::vector<double> state(p.state, p.state + values);
  column_stats_ref(p, state.data());
  round_to(p.state, state);
  return {};
}

WnStatus wn_finish_column_stats(const WnFinishColumnStatsParams* params, void*) {
  std::vector<double> out(static_cast<size_t>(params->num_query_heads * params->width));
  finish_column_stats_ref(*params, out.data());
  round_to(params->out, out);
  return {};
}
