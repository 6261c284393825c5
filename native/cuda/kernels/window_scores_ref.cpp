#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {
namespace {

double reduced(int reduce, const std::vector<double>& p) {
  double sum = 0, largest = 0, squares = 0;
  for (const double x : p) sum += x, largest = std::max(largest, x);
  const double n = static_cast<double>(p.size());
  for (const double x : p) squares += (x - sum / n) * (x - sum / n);
  if (reduce == WN_WINDOW_MEAN) return sum / n;
  if (reduce == WN_WINDOW_SUM) return sum;
  return reduce == WN_WINDOW_MAX ? largest : p.size() > 1 ? squares / (n - 1) : 0;
}

std::vector<double> pooled(int pool, int width, const std::vector<double>& in) {
  const int n = static_cast<int>(in.size()), reach = pool == WN_POOL_NONE ? 0 : width / 2;
  std::vector<double> out(n);
  for (int s = 0; s < n; s++) {
    double sum = 0, best = -INFINITY;
    for (int i = std::max(0, s - reach); i <= std::min(n - 1, s + reach); i++) sum += in[i], best = std::max(best, in[i]);
    out[s] = pool == WN_POOL_MAX ? best : pool == WN_POOL_MEAN ? sum / width : sum;
  }
  return out;
}

/// Weights of query j of one head over the slots of its cache.
std::vector<double> weights_of(const WnWindowScoresParams& p, int row, int head, int j) {
  const WnCacheView& cache = p.cache;
  const int64_t list = int64_t{row} * cache.num_kv_heads + head / (p.num_query_heads / cache.num_kv_heads);
  const int len = cache.kv_lens[list], own = len - p.window + j;
  std::vector<double> logits(len, -INFINITY);
  for (int s = 0; s <= own; s++) {
    const int64_t slot = arena_slot(cache, list, s);
    if (p.sliding_window > 0 && cache.positions[slot] <= cache.positions[arena_slot(cache, list, own)] - p.sliding_window) continue;
    double sum = 0;
    for (int c = 0; c < cache.head_dim; c++)
      sum += bf16_value(p.q, ((int64_t{row} * p.window + j) * p.num_query_heads + head) * cache.head_dim + c) *
             bf16_value(cache.pages, arena_element(cache, slot, 0) + c);
    sum *= p.softmax_scale;
    if (p.soft_cap > 0) sum = p.soft_cap * std::tanh(sum / p.soft_cap);
    logits[s] = sum + (cache.log_bias ? cache.log_bias[slot] : 0);
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const double x : logits) total += std::exp(x - largest);
  for (double& x : logits) x = std::exp(x - largest) / total;
  return logits;
}

}  // namespace

void window_scores_ref(const WnWindowScoresParams& p, double* scores) {
  for (int row = 0; row < p.cache.rows; row++) {
    std::vector<std::vector<double>> heads;
    for (int head = 0; head < p.num_query_heads; head++) {
      std::vector<std::vector<double>> weights;
      for (int j = 0; j < p.window; j++) weights.push_back(weights_of(p, row, head, j));
      std::vector<double> a(weights[0].size());
      for (size_t s = 0; s < a.size(); s++) {
        std::vector<double> column;
        for (const auto& w : weights) column.push_back(w[s]);
        a[s] = reduced(p.reduce, column);
      }
      heads.push_back(pooled(p.pool, p.pool_width, a));
      heads.back().resize(p.max_len, -INFINITY);
    }
    reduce_lists_ref(heads, p.gqa, p.cache.num_kv_heads, scores);
    scores += int64_t{lists_after_ref(p.gqa, p.num_query_heads, p.cache.num_kv_heads)} * p.max_len;
  }
}

int lists_after_ref(int gqa, int num_query_heads, int num_kv_heads) {
  return gqa == WN_GQA_NONE ? num_query_heads : gqa == WN_GQA_ALL ? 1 : num_kv_heads;
}

void reduce_lists_ref(const std::vector<std::vector<double>>& heads, int gqa, int num_kv_heads, double* out) {
  const int lists = lists_after_ref(gqa, static_cast<int>(heads.size()), num_kv_heads);
  const int together = static_cast<int>(heads.size()) / lists;
  const size_t length = heads[0].size();
  for (int list = 0; list < lists; list++)
    for (size_t s = 0; s < length; s++) {
      double sum = 0, largest = -INFINITY;
      for (int h = list * together; h < (list + 1) * together; h++) sum += heads[h][s], largest = std::max(largest, heads[h][s]);
      const bool is_mean = gqa == WN_GQA_MEAN || gqa == WN_GQA_ALL;
      out[list * length + s] = gqa == WN_GQA_MAX ? largest : is_mean ? sum / together : sum;
    }
}

}  // namespace winnow
