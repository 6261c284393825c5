#include <cmath>

#include "reference.h"

namespace winnow {

void attention_probs_ref(const WnAttentionProbsParams& p, double* probs) {
  const WnCacheView& cache = p.cache;
  for (int64_t i = 0; i < static_cast<int64_t>(cache.rows) * p.num_query_heads; i++) {
    const int64_t head = i % p.num_query_heads / (p.num_query_heads / cache.num_kv_heads);
    const int64_t segment = i / p.num_query_heads * cache.num_kv_heads + head;
    for (int64_t slot = 0; slot < p.max_slots; slot++) {
      double& weight = probs[i * p.max_slots + slot];
      weight = -INFINITY;
      if (slot >= cache.kv_lens[segment]) continue;
      const int64_t arena = cache.page_table[segment * cache.page_table_stride + slot / 64] * int64_t{64} + slot % 64;
      double sum = 0;
      for (int d = 0; d < cache.head_dim; d++) {
        sum += bf16_value(p.q, i * cache.head_dim + d) * bf16_value(cache.pages, (arena / 64 * 128 + arena % 64) * cache.head_dim + d);
      }
      weight = std::exp(sum * p.softmax_scale + (cache.log_bias ? cache.log_bias[arena] : 0) - p.lse[i]);
      if (p.lse[i] == -INFINITY) weight = 0;
    }
  }
}

}  // namespace winnow
