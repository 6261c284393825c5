#include <algorithm>
#include <cmath>
#include <tuple>

#include "reference.h"

namespace winnow {

void top_k_ref(const WnTopKParams& p, int32_t* indices, int32_t* lens) {
  for (int first = 0; first < p.num_lists; first += p.lists_per_budget) {
    // (class, rank within the class, minus the score, list, index): ascending order is the order of taking.
    std::vector<std::tuple<int, int64_t, float, int, int>> order;
    for (int list = first; list < first + p.lists_per_budget; list++) {
      const float* scores = p.scores + int64_t{list} * p.length;
      std::vector<int> entries;
      for (int i = 0; i < p.length; i++)
        if (scores[i] > -INFINITY) entries.push_back(i);
      const auto n = static_cast<int64_t>(entries.size());
      for (int64_t k = 0; k < n; k++) {
        if (k < p.protect_first) order.emplace_back(0, k, 0.0f, list, entries[k]);
        else if (n - 1 - k < p.protect_last) order.emplace_back(1, n - 1 - k, 0.0f, list, entries[k]);
        else order.emplace_back(2, 0, -scores[entries[k]], list, entries[k]);
      }
    }
    std::sort(order.begin(), order.end());
    order.resize(std::min<size_t>(order.size(), std::max(0, (p.counts ? p.counts : p.few_counts)[first / p.lists_per_budget])));
    for (int list = first; list < first + p.lists_per_budget; list++) {
      std::vector<int> mine;
      for (const auto& entry : order)
        if (std::get<3>(entry) == list) mine.push_back(std::get<4>(entry));
      std::sort(mine.begin(), mine.end());
      lens[list] = std::min<int>(static_cast<int>(mine.size()), p.indices_stride);
      for (int i = 0; i < p.indices_stride; i++) indices[int64_t{list} * p.indices_stride + i] = i < lens[list] ? mine[i] : -1;
    }
  }
}

}  // namespace winnow
