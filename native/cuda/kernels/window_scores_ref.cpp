#include <cmath>

#include "reference.h"

namespace winnow {

void window_scores_ref(const WnWindowScoresParams& p, double* scores) {
  const int group_size = p.num_query_heads / p.num_kv_heads;
  for (int64_t i = 0; i < static_cast<int64_t>(p.num_kv_heads) * p.num_scored; i++) scores[i] = 0;
  for (int head = 0; head < p.num_query_heads; head++) {
    const int kv_head = head / group_size;
    auto key = [&](int token, int d) {
      if (!p.pages) return bf16_value(p.k, token * p.kv_token_stride + kv_head * p.kv_head_stride + d);
      const int64_t page = p.page_table[kv_head * p.page_table_stride + token / 64];
      return bf16_value(p.pages, (page * 128 + token % 64) * p.head_dim + d);
    };
    std::vector<double> mean(p.num_scored);
    for (int j = 0; j < p.num_scored; j++)
      for (int r = 0; r < p.observation_window; r++) {
        if (j > p.kv_len - p.observation_window + r) continue;
        double sum = 0;
        for (int d = 0; d < p.head_dim; d++)
          sum += bf16_value(p.q_window, (static_cast<int64_t>(r) * p.num_query_heads + head) * p.head_dim + d) * key(j, d);
        mean[j] += std::exp(sum * p.softmax_scale - p.lse[head * p.lse_head_stride + r]) / p.observation_window;
      }
    for (int j = 0; j < p.num_scored; j++) {
      const int reach = p.pool == WN_POOL_NONE ? 0 : p.pool_width / 2;
      double sum = 0, best = 0;
      for (int i = j - reach; i <= j + reach; i++) {
        if (i < 0 || i >= p.num_scored) continue;
        sum += mean[i];
        best = std::fmax(best, mean[i]);
      }
      const double pooled = p.pool == WN_POOL_MAX ? best : p.pool == WN_POOL_MEAN ? sum / p.pool_width : sum;
      scores[static_cast<int64_t>(kv_head) * p.num_scored + j] += pooled / group_size;
    }
  }
}

}  // namespace winnow
