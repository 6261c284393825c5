#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {

void block_summary_ref(const WnBlockSummaryParams& p, double* summary) {
  const int d = p.cache.head_dim;
  for (int64_t list = 0; list < int64_t{p.cache.rows} * p.cache.num_kv_heads; list++)
    for (int64_t block = p.from_block; block < p.num_blocks; block++)
      for (int c = 0; c < d; c++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t slot = block * p.block_len; slot < std::min<int64_t>((block + 1) * p.block_len, p.cache.kv_lens[list]); slot++) {
          const double x =
              bf16_value(p.cache.pages, arena_element(p.cache, arena_slot(p.cache, list, static_cast<int>(slot)), 0) + c);
          low = std::min(low, x), high = std::max(high, x);
        }
        summary[(list * p.num_blocks + block) * 2 * d + c] = low;
        summary[(list * p.num_blocks + block) * 2 * d + d + c] = high;
      }
}

}  // namespace winnow
