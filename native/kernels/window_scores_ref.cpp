#include <algorithm>
#include <cmath>
#include <vector>

#include "attend_block.h"
#include "attend_ref.h"
#include "window_scores.h"

namespace winnow {
namespace {

double Reduce(WindowReduce how, const std::vector<double>& p) {
  double sum = 0;
  for (const double x : p) sum += x;
  if (how == WindowReduce::kSum) return sum;
  if (how == WindowReduce::kMax) return *std::max_element(p.begin(), p.end());
  const double mean = sum / static_cast<double>(p.size());
  if (how == WindowReduce::kMean) return mean;
  double squares = 0;
  for (const double x : p) squares += (x - mean) * (x - mean);
  return p.size() > 1 ? squares / static_cast<double>(p.size() - 1) : 0.0;
}

std::vector<double> Pool(PoolKind kind, int32_t size, const std::vector<double>& in) {
  if (kind == PoolKind::kNone) return in;
  std::vector<double> out(in.size());
  const int32_t n = static_cast<int32_t>(in.size());
  for (int32_t s = 0; s < n; s++) {
    double value = kind == PoolKind::kMax ? -INFINITY : 0.0;
    for (int32_t i = s - size / 2; i <= s + size / 2; i++) {
      if (i < 0 || i >= n) continue;
      value = kind == PoolKind::kMax ? std::max(value, in[i]) : value + in[i] / size;
    }
    out[s] = value;
  }
  return out;
}

}  // namespace

void WindowScoresRef(const WindowScoresParams& p, double* out) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t lists = ListsAfter(p.gqa, p.num_query_heads, shape.num_kv_heads);
  const int32_t together = p.num_query_heads / lists;
  const int32_t group = p.num_query_heads / shape.num_kv_heads;
  std::vector<double> ignored(kMaxHeadDim);
  for (int32_t r = 0; r < p.rows; r++) {
    std::vector<std::vector<double>> scores;
    for (int32_t h = 0; h < p.num_query_heads; h++) {
      const HeadCache& head = p.caches[r]->head(p.layer, h / group);
      const DType element = p.caches[r]->layout().element;
      std::vector<std::vector<double>> probs(p.window, std::vector<double>(head.len));
      for (int32_t j = 0; j < p.window; j++) {
        const int64_t token = int64_t{r} * p.window + j;
        const auto* q = static_cast<const uint8_t*>(p.q) +
                        (token * p.num_query_heads + h) * shape.head_dim * static_cast<int64_t>(SizeOf(element));
        const int32_t own = head.len - p.window + j;
        const auto position = [&](int32_t slot) { return head.pages[slot / kPageSize]->positions[slot % kPageSize]; };
        const auto sees = [&](int32_t slot) {
          return slot <= own && (p.sliding_window == 0 || position(slot) > position(own) - p.sliding_window);
        };
        AttendOneRef({&head, element, shape.head_dim, shape.head_dim_v, q, p.softmax_scale, p.soft_cap, sees},
                     ignored.data(), nullptr, probs[j].data());
      }
      std::vector<double> reduced(head.len);
      for (int32_t s = 0; s < head.len; s++) {
        std::vector<double> column(p.window);
        for (int32_t j = 0; j < p.window; j++) column[j] = probs[j][s];
        reduced[s] = Reduce(p.reduce, column);
      }
      std::vector<double> pooled = Pool(p.pool_kind, p.pool_size, reduced);
      pooled.resize(p.max_len, -INFINITY);
      scores.push_back(pooled);
    }
    for (int32_t list = 0; list < lists; list++) {
      for (int64_t s = 0; s < p.max_len; s++) {
        double sum = 0;
        double largest = -INFINITY;
        for (int32_t h = list * together; h < (list + 1) * together; h++) {
          sum += scores[h][s];
          largest = std::max(largest, scores[h][s]);
        }
        const bool is_mean = p.gqa == GqaReduce::kMean || p.gqa == GqaReduce::kAll;
        out[(int64_t{r} * lists + list) * p.max_len + s] =
            p.gqa == GqaReduce::kMax ? largest : is_mean ? sum / together : sum;
      }
    }
  }
}

}  // namespace winnow
