#include "random_normal_value.h"
#include "reference.h"

namespace winnow {

void random_normal_ref(const WnRandomNormalParams& p, double* out) {
  for (int64_t i = 0; i < p.count; i++) out[i] = random_normal_value(p.seed, static_cast<uint64_t>(i), p.deviation);
}

}  // namespace winnow
