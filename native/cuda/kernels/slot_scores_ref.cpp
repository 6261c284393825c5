#include <cmath>
#include <functional>

#include "reference.h"

namespace winnow {
namespace {

double cache_value(const WnCacheView& cache, int64_t list, int slot, int what, int c) {
  return bf16_value(cache.pages, arena_element(cache, arena_slot(cache, list, slot), what) + c);
}

/// Scores of query heads as lists by gqa.
void reduce_heads(int rows, int heads, int lists, int max_len, int gqa, const std::function<double(int, int, int)>& score,
                  double* out) {
  const int together = heads / lists;
  for (int row = 0; row < rows; row++)
    for (int list = 0; list < lists; list++)
      for (int i = 0; i < max_len; i++) {
        double sum = 0, best = -INFINITY;
        for (int head = list * together; head < (list + 1) * together; head++) {
          const double x = score(row, head, i);
          sum += x;
          best = std::fmax(best, x);
        }
        const bool is_mean = gqa == WN_GQA_MEAN || gqa == WN_GQA_ALL;
        out[(static_cast<int64_t>(row) * lists + list) * max_len + i] = gqa == WN_GQA_MAX ? best : is_mean ? sum / together : sum;
      }
}

}  // namespace

void channel_scores_ref(const WnChannelScoresParams& p, double* scores) {
  const int kv_heads = p.cache.num_kv_heads, d = p.cache.head_dim;
  auto score = [&](int row, int head, int slot) {
    const int64_t kv_list = static_cast<int64_t>(row) * kv_heads + head / (p.num_query_heads / kv_heads);
    if (slot >= p.cache.kv_lens[kv_list]) return -static_cast<double>(INFINITY);
    const int64_t list = static_cast<int64_t>(row) * p.lists + head / (p.num_query_heads / p.lists);
    double best = -INFINITY;
    for (int t = 0; t < p.query_len; t++) {
      double sum = 0;
      for (int c = 0; c < d; c++) {
        bool listed = p.channel_lens[list] < 0;
        for (int i = 0; i < p.channel_lens[list]; i++) listed = listed || p.channels[list * p.channel_stride + i] == c;
        const int64_t q = ((static_cast<int64_t>(row) * p.query_len + t) * p.num_query_heads + head) * d + c;
        if (listed) sum += element_value(p.q, q, p.q_type) * cache_value(p.cache, kv_list, slot, 0, c);
      }
      best = std::fmax(best, sum);
    }
    return best;
  };
  reduce_heads(p.cache.rows, p.num_query_heads, lists_after_ref(p.gqa, p.num_query_heads, kv_heads), p.max_len, p.gqa, score, scores);
}

void plane_scores_ref(const WnPlaneScoresParams& p, double* scores) {
  auto score = [&](int row, int head, int entry) {
    const int64_t kv_list = static_cast<int64_t>(row) * p.num_kv_heads + head / (p.num_query_heads / p.num_kv_heads);
    double best = -INFINITY;
    for (int t = 0; entry < p.used[kv_list] && t < p.query_len; t++) {
      double sum = 0;
      for (int c = 0; c < p.width; c++)
        sum += element_value(p.q, ((static_cast<int64_t>(row) * p.query_len + t) * p.num_query_heads + head) * p.width + c, p.q_type) *
               p.plane[(kv_list * p.capacity + entry) * p.width + c];
      best = std::fmax(best, sum);
    }
    return best;
  };
  reduce_heads(p.rows, p.num_query_heads, lists_after_ref(p.gqa, p.num_query_heads, p.num_kv_heads), p.max_len, p.gqa, score, scores);
}

void project_slots_ref(const WnProjectSlotsParams& p, double* out) {
  const int d = p.cache.head_dim;
  for (int64_t list = 0; list < static_cast<int64_t>(p.cache.rows) * p.cache.num_kv_heads; list++)
    for (int i = 0; i < p.max_len; i++)
      for (int r = 0; r < p.rank; r++) {
        const int len = p.cache.kv_lens[list], slot = i + (p.last > 0 ? len - p.last : 0);
        double sum = 0;
        for (int c = 0; slot < len && c < d; c++)
          sum += p.basis[(list % p.cache.num_kv_heads * p.rank + r) * d + c] * cache_value(p.cache, list, slot, p.what, c);
        out[(list * p.max_len + i) * p.rank + r] = sum;
      }
}

void project_queries_ref(const WnProjectQueriesParams& p, double* out) {
  for (int64_t i = 0; i < p.num_tokens * p.num_query_heads; i++)
    for (int r = 0; r < p.rank; r++) {
      const int64_t basis = i % p.num_query_heads / (p.num_query_heads / p.num_bases);
      double sum = 0;
      for (int c = 0; c < p.head_dim; c++)
        sum += p.basis[(basis * p.rank + r) * p.head_dim + c] * element_value(p.q, i * p.head_dim + c, p.q_type);
      out[i * p.rank + r] = sum;
    }
}

void pairwise_cosine_ref(const WnPairwiseCosineParams& p, double* out) {
  for (int64_t list = 0; list < static_cast<int64_t>(p.cache.rows) * p.cache.num_kv_heads; list++)
    for (int i = 0; i < p.left_stride; i++)
      for (int j = 0; j < p.right_stride; j++) {
        double& to = out[(list * p.left_stride + i) * p.right_stride + j];
        to = -INFINITY;
        if (i >= p.left_lens[list] || j >= p.right_lens[list]) continue;
        double product = 0, left = 0, right = 0;
        for (int c = 0; c < p.cache.head_dim; c++) {
          const double a = cache_value(p.cache, list, p.left[list * p.left_stride + i], p.what, c);
          const double b = cache_value(p.cache, list, p.right[list * p.right_stride + j], p.what, c);
          product += a * b;
          left += a * a;
          right += b * b;
        }
        to = left > 0 && right > 0 ? product / std::sqrt(left * right) : 0;
      }
}

}  // namespace winnow
