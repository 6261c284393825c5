#include "attention_ref.h"
#include "reference.h"

namespace winnow {

void column_stats_ref(const WnColumnStatsParams& p, double* state) {
  const int64_t plane = p.num_query_heads * p.width;
  for (int head = 0; head < p.num_query_heads; head++) {
    const int kv_head = head / (p.num_query_heads / p.num_kv_heads), n = p.kv_lens[kv_head];
    auto arena = [&](int slot) {
      return p.page_table[kv_head * p.page_table_stride + slot / 64] * int64_t{64} + slot % 64;
    };
    for (int t = 0; t < p.query_len; t++) {
      const int own = n - p.query_len + t;
      if (own < p.first_row) continue;
      const int64_t row = static_cast<int64_t>(t) * p.num_query_heads + head;
      for (int slot = 0; slot <= own; slot++) {
        const int64_t at = arena(slot);
        if (p.sliding_window > 0 && p.positions[at] <= p.positions[arena(own)] - p.sliding_window) continue;
        double x = 0;
        for (int d = 0; d < p.head_dim; d++)
          x += bf16_value(p.q, row * p.head_dim + d) * bf16_value(p.pages, (at / 64 * 128 + at % 64) * p.head_dim + d);
        x *= p.softmax_scale;
        if (p.soft_cap > 0) x = p.soft_cap * std::tanh(x / p.soft_cap);
        x += (p.log_bias ? p.log_bias[at] : 0) - p.lse[row];
        if (!(x > -INFINITY) || !(p.lse[row] > -INFINITY)) continue;
        const double weight = std::exp(x);
        double& to = state[head * p.width + slot];
        if (p.reduce == WN_COLUMN_MAX)
          to = std::fmax(to, weight);
        else
          to += p.reduce == WN_COLUMN_ENTROPY ? -weight * x : weight;
        if (p.reduce == WN_COLUMN_VARIANCE) state[2 * plane + head * p.width + slot] += weight * weight;
      }
    }
  }
}

void finish_column_stats_ref(const WnFinishColumnStatsParams& p, double* out) {
  const int64_t plane = p.num_query_heads * p.width;
  for (int64_t i = 0; i < plane; i++) {
    const int64_t from = i % p.width > p.first_row ? i % p.width : p.first_row;
    const double count = static_cast<double>(p.num_rows > from ? p.num_rows - from : 0);
    const double sum = static_cast<double>(p.state[i]) + p.state[plane + i];
    out[i] = sum;
    if (p.reduce == WN_COLUMN_MEAN) out[i] = count > 0 ? sum / count : 0;
    if (p.reduce == WN_COLUMN_MAX) out[i] = std::fmax(p.state[i], p.state[plane + i]);
    if (p.reduce != WN_COLUMN_VARIANCE) continue;
    const double squares = static_cast<double>(p.state[2 * plane + i]) + p.state[3 * plane + i];
    out[i] = count > 1 ? std::fmax(0, (squares - sum * sum / count) / (count - 1)) : 0;
  }
}

}  // namespace winnow
