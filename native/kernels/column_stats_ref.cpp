#include <cmath>
#include <vector>

#include "attend_ref.h"
#include "column_stats.h"

namespace winnow {

void ColumnStatsRef(const ColumnStatsParams& p, double* out) {
  const LayerGeometry& shape = p.cache->geometry(p.layer);
  const DType element = p.cache->layout().element;
  for (int32_t h = 0; h < p.num_query_heads; h++) {
    const HeadCache& head = p.cache->head(p.layer, h / (p.num_query_heads / shape.num_kv_heads));
    const int32_t first_new = head.len - p.query_len;
    std::vector<std::vector<double>> seen(head.len);
    for (int32_t t = 0; t < p.query_len; t++) {
      const int32_t own = first_new + t;
      if (own < p.first_row) continue;
      std::vector<double> values(shape.head_dim_v);
      std::vector<double> probs(head.len);
      double lse = 0;
      const auto position = [&](int32_t s) { return head.pages[s / kPageSize]->positions[s % kPageSize]; };
      const auto sees = [&](int32_t s) {
        return s <= own && (p.sliding_window == 0 || position(s) > position(own) - p.sliding_window);
      };
      const int64_t row = (int64_t{t} * p.num_query_heads + h) * shape.head_dim;
      AttendOneRef({&head, element, shape.head_dim, shape.head_dim_v,
                    static_cast<const uint8_t*>(p.q) + row * static_cast<int64_t>(SizeOf(element)), p.softmax_scale, p.soft_cap,
                    sees},
                   values.data(), &lse, probs.data());
      for (int32_t s = 0; s <= own; s++) seen[s].push_back(probs[s]);
    }
    for (int64_t s = 0; s < p.width; s++) {
      const std::vector<double> none;
      const std::vector<double>& all = s < head.len ? seen[s] : none;
      double sum = 0;
      double largest = 0;
      double entropy = 0;
      for (const double x : all) {
        sum += x;
        largest = std::max(largest, x);
        if (x > 0) entropy -= x * std::log(x);
      }
      const double mean = all.empty() ? 0 : sum / static_cast<double>(all.size());
      double squares = 0;
      for (const double x : all) squares += (x - mean) * (x - mean);
      double& to = out[h * p.width + s];
      if (p.reduce == ColumnReduce::kSum) to = sum;
      if (p.reduce == ColumnReduce::kMean) to = mean;
      if (p.reduce == ColumnReduce::kMax) to = largest;
      if (p.reduce == ColumnReduce::kEntropy) to = entropy;
      if (p.reduce == ColumnReduce::kVariance) to = all.size() > 1 ? squares / static_cast<double>(all.size() - 1) : 0;
    }
  }
}

}  // namespace winnow
