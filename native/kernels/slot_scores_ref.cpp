#include <algorithm>
#include <cmath>

#include "attend_ref.h"
#include "slot_scores.h"

namespace winnow {
namespace {

/// Lists of scores by query head to lists by `gqa`; score(row, query head, slot) is -inf where there is no slot.
template <class Score>
void ReduceRef(int32_t rows, int32_t query_heads, int32_t kv_heads, int64_t max_len, GqaReduce gqa, double* out, Score&& score) {
  const int32_t lists = ListsAfter(gqa, query_heads, kv_heads);
  const int32_t together = query_heads / lists;
  for (int32_t row = 0; row < rows; row++) {
    for (int32_t list = 0; list < lists; list++) {
      for (int64_t s = 0; s < max_len; s++) {
        double sum = 0;
        double largest = -INFINITY;
        for (int32_t h = list * together; h < (list + 1) * together; h++) {
          const double x = score(row, h, s);
          sum += x;
          largest = std::max(largest, x);
        }
        const bool is_mean = gqa == GqaReduce::kMean || gqa == GqaReduce::kAll;
        out[(int64_t{row} * lists + list) * max_len + s] = gqa == GqaReduce::kMax ? largest : is_mean ? sum / together : sum;
      }
    }
  }
}

}  // namespace

void ChannelScoresRef(const ChannelScoresParams& p, double* out) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  ReduceRef(p.rows, p.num_query_heads, shape.num_kv_heads, p.max_len, p.gqa, out, [&](int32_t row, int32_t h, int64_t s) {
    const HeadCache& head = p.caches[row]->head(p.layer, h / (p.num_query_heads / shape.num_kv_heads));
    if (s >= head.len) return -static_cast<double>(INFINITY);
    float key[256];
    ReadRows(*head.pages[s / kPageSize], 0, static_cast<int32_t>(s % kPageSize), 1, key, 256);
    const int64_t list = int64_t{row} * p.lists + h * p.lists / p.num_query_heads;
    double best = -INFINITY;
    for (int32_t t = 0; t < p.query_len; t++) {
      double sum = 0;
      for (int32_t c = 0; c < shape.head_dim; c++) {
        bool listed = p.lens[list] < 0;
        for (int32_t i = 0; i < p.lens[list]; i++) listed = listed || p.channels[list * p.stride + i] == c;
        const int64_t at = ((int64_t{row} * p.query_len + t) * p.num_query_heads + h) * shape.head_dim + c;
        if (listed) sum += ElementAt(p.q, p.q_type, at) * key[c];
      }
      best = std::max(best, sum);
    }
    return best;
  });
}

void PlaneScoresRef(const PlaneScoresParams& p, double* out) {
  ReduceRef(p.rows, p.num_query_heads, p.num_kv_heads, p.max_len, p.gqa, out, [&](int32_t row, int32_t h, int64_t s) {
    const int64_t kv = int64_t{row} * p.num_kv_heads + h / (p.num_query_heads / p.num_kv_heads);
    if (s >= p.used[kv]) return -static_cast<double>(INFINITY);
    double best = -INFINITY;
    for (int32_t t = 0; t < p.query_len; t++) {
      double sum = 0;
      for (int32_t c = 0; c < p.width; c++) {
        sum += ElementAt(p.q, p.q_type, ((int64_t{row} * p.query_len + t) * p.num_query_heads + h) * p.width + c) *
               p.plane[(kv * p.capacity + s) * p.width + c];
      }
      best = std::max(best, sum);
    }
    return best;
  });
}

void ProjectRef(const ProjectParams& p, double* out) {
  float row[256];
  const int64_t per_head = p.caches == nullptr ? 1 : p.max_len;
  for (int64_t list = 0; list < int64_t{p.rows} * p.heads; list++) {
    const auto h = static_cast<int32_t>(list % p.heads);
    for (int64_t i = 0; i < per_head; i++) {
      double* y = out + (list * per_head + i) * p.rank;
      std::fill(y, y + p.rank, 0.0);
      if (p.caches != nullptr) {
        const HeadCache& head = p.caches[list / p.heads]->head(p.layer, h);
        const int64_t slot = i + (p.last > 0 ? head.len - p.last : 0);
        if (slot >= head.len) continue;
        ReadRows(*head.pages[slot / kPageSize], p.what, static_cast<int32_t>(slot % kPageSize), 1, row, 256);
      } else {
        for (int32_t c = 0; c < p.dim; c++) row[c] = static_cast<float>(ElementAt(p.x, p.x_type, list * p.dim + c));
      }
      for (int32_t r = 0; r < p.rank; r++) {
        for (int32_t c = 0; c < p.dim; c++) y[r] += static_cast<double>(p.basis[(h / (p.heads / p.bases) * p.rank + r) * p.dim + c]) * row[c];
      }
    }
  }
}

}  // namespace winnow
