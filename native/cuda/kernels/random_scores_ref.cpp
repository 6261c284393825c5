#include "index.h"
#include "reference.h"

namespace winnow {

void random_scores_ref(const WnRandomScoresParams& p, float* scores) {
  for (int row = 0; row < p.rows; row++)
    for (int head = 0; head < p.num_kv_heads; head++)
      for (int slot = 0; slot < p.length; slot++) *scores++ = random_score(p.seed, p.layer, head, slot);
}

}  // namespace winnow
