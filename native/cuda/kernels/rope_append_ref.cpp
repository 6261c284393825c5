#include <cmath>

#include "reference.h"

namespace winnow {

void rope_append_ref(const WnRopeAppendParams& p, double* heads_out) {
  const int d = p.cache.head_dim, half = p.rope_dims / 2, heads = p.num_query_heads + 2 * p.cache.num_kv_heads;
  for (int64_t token = 0; token < int64_t{p.cache.rows} * p.num_tokens; token++)
    for (int head = 0; head < heads; head++) {
      double* x = heads_out + (token * heads + head) * d;
      const bool is_query = head < p.num_query_heads, is_key = !is_query && head < p.num_query_heads + p.cache.num_kv_heads;
      double sum = 0;
      for (int i = 0; i < d; i++) {
        x[i] = element_value(p.qkv, (token * heads + head) * d + i, p.qkv_type);
        sum += x[i] * x[i];
      }
      const float* gain = is_query ? p.q_norm : is_key ? p.k_norm : nullptr;
      for (int i = 0; gain && i < d; i++) x[i] *= gain[i] / std::sqrt(sum / d + p.epsilon);
      if (!is_query && !(is_key && !p.pre_rope_keys)) continue;
      const float* table = p.cos_sin + int64_t{p.positions[token]} * p.rope_dims;
      for (int i = 0; i < half; i++) {
        const double a = x[i], b = x[i + half];
        x[i] = a * table[i] - b * table[half + i];
        x[i + half] = b * table[i] + a * table[half + i];
      }
    }
}

void rope_append_store_ref(const WnRopeAppendParams& p, const double* heads_in, uint16_t* q_out) {
  const WnCacheView& cache = p.cache;
  const int d = cache.head_dim, heads = p.num_query_heads + 2 * cache.num_kv_heads;
  for (int64_t token = 0; token < int64_t{cache.rows} * p.num_tokens; token++)
    for (int head = 0; head < heads; head++) {
      const double* x = heads_in + (token * heads + head) * d;
      uint16_t* to = q_out + (token * p.num_query_heads + head) * d;
      if (head >= p.num_query_heads) {
        const int g = (head - p.num_query_heads) % cache.num_kv_heads;
        const bool is_value = head >= p.num_query_heads + cache.num_kv_heads;
        const int64_t list = token / p.num_tokens * cache.num_kv_heads + g;
        const int slot = cache.kv_lens[list] + static_cast<int>(token % p.num_tokens);
        const int64_t page = cache.page_table[list * cache.page_table_stride + slot / 64];
        to = static_cast<uint16_t*>(cache.pages) + (page * 128 + (is_value ? 64 : 0) + slot % 64) * d;
        if (cache.positions) cache.positions[page * 64 + slot % 64] = p.positions[token];
        if (cache.counts) cache.counts[page * 64 + slot % 64] = 1;
        if (cache.log_bias) cache.log_bias[page * 64 + slot % 64] = 0;
      }
      for (int i = 0; i < d; i++) to[i] = to_bf16(x[i]);
    }
}

}  // namespace winnow
