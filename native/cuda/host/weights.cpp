#include "host_op.h"

using namespace winnow;

WnStatus wn_random_normal(const WnRandomNormalParams* params, void*) {
  std::vector<double> values(static_cast<std::size_t>(params->count));
  random_normal_ref(*params, values.data());
  round_to(static_cast<uint16_t*>(params->out), values);
  return {};
}
