#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {

void block_scores_ref(const WnBlockScoresParams& p, double* scores) {
  const int d = p.head_dim, group_size = p.num_query_heads / p.num_kv_heads;
  for (int row = 0; row < p.rows; row++) {
    std::vector<std::vector<double>> heads;
    for (int head = 0; head < p.num_query_heads; head++) {
      heads.emplace_back(p.num_blocks, -INFINITY);
      for (int block = 0; block < p.num_blocks; block++) {
        const float* low = p.summary + ((int64_t{row} * p.num_kv_heads + head / group_size) * p.num_blocks + block) * 2 * d;
        for (int t = 0; t < p.query_len && low[0] <= low[d]; t++) {
          double sum = 0;
          for (int c = 0; c < d; c++) {
            const double x = element_value(p.q, ((int64_t{row} * p.query_len + t) * p.num_query_heads + head) * d + c, p.q_type);
            sum += std::max(x * low[c], x * low[d + c]);
          }
          heads[head][block] = std::max(heads[head][block], sum);
        }
      }
    }
    reduce_lists_ref(heads, p.gqa, p.num_kv_heads, scores);
    scores += int64_t{lists_after_ref(p.gqa, p.num_query_heads, p.num_kv_heads)} * p.num_blocks;
  }
}

}  // namespace winnow
