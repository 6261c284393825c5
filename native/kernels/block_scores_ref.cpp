#include <algorithm>
#include <cmath>

#include "attend_ref.h"
#include "block_scores.h"

namespace winnow {

void BlockScoresRef(const BlockScoresParams& p, double* out) {
  const int32_t lists = ListsAfter(p.gqa, p.num_query_heads, p.num_kv_heads);
  const int32_t together = p.num_query_heads / lists;
  for (int64_t row = 0; row < p.rows; row++) {
    for (int64_t list = 0; list < lists; list++) {
      for (int64_t page = 0; page < p.num_pages; page++) {
        double sum = 0;
        double largest = -INFINITY;
        for (int64_t head = list * together; head < (list + 1) * together; head++) {
          const int64_t kv = head / (p.num_query_heads / p.num_kv_heads);
          const float* low = p.summary + ((row * p.num_kv_heads + kv) * p.num_pages + page) * 2 * p.head_dim;
          double bound = -INFINITY;
          for (int32_t t = 0; t < p.query_len && low[0] <= low[p.head_dim]; t++) {
            double here = 0;
            for (int32_t c = 0; c < p.head_dim; c++) {
              const int64_t at = ((row * p.query_len + t) * p.num_query_heads + head) * p.head_dim + c;
              const double x = ElementAt(p.q, p.q_type, at);
              here += std::max(x * low[c], x * low[p.head_dim + c]);
            }
            bound = std::max(bound, here);
          }
          sum += bound;
          largest = std::max(largest, bound);
        }
        const bool is_mean = p.gqa == GqaReduce::kMean || p.gqa == GqaReduce::kAll;
        out[(row * lists + list) * p.num_pages + page] = p.gqa == GqaReduce::kMax ? largest : is_mean ? sum / together : sum;
      }
    }
  }
}

}  // namespace winnow
