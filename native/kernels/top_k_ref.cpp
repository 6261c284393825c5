#include <algorithm>
#include <cmath>
#include <tuple>

#include "top_k.h"

namespace winnow {

TopKResult TopKRef(const TopKParams& p) {
  const int64_t all = p.rows * p.lists;
  const int64_t lists = p.flatten == Flatten::kNone ? 1 : p.flatten == Flatten::kLists ? p.lists : all;
  TopKResult result;
  result.offsets.assign(1, 0);
  for (int64_t first = 0; first < all; first += lists) {
    // (class, rank within class, minus score, list, index): ascending order is the order of taking.
    std::vector<std::tuple<int, int64_t, float, int64_t, int64_t>> order;
    for (int64_t list = first; list < first + lists; list++) {
      std::vector<int64_t> valid;
      for (int64_t i = 0; i < p.length; i++) {
        if (p.scores[list * p.length + i] > -INFINITY) valid.push_back(i);
      }
      const int64_t n = static_cast<int64_t>(valid.size());
      for (int64_t k = 0; k < n; k++) {
        const float score = p.scores[list * p.length + valid[k]];
        if (k < p.protect_first) order.emplace_back(0, k, 0.0f, list, valid[k]);
        else if (n - 1 - k < p.protect_last) order.emplace_back(1, n - 1 - k, 0.0f, list, valid[k]);
        else order.emplace_back(2, 0, -score, list, valid[k]);
      }
    }
    std::sort(order.begin(), order.end());
    order.resize(std::min<size_t>(order.size(), p.counts[first / lists]));
    for (int64_t list = first; list < first + lists; list++) {
      std::vector<int32_t> mine;
      for (const auto& entry : order) {
        if (std::get<3>(entry) == list) mine.push_back(static_cast<int32_t>(std::get<4>(entry)));
      }
      std::sort(mine.begin(), mine.end());
      result.values.insert(result.values.end(), mine.begin(), mine.end());
      result.offsets.push_back(static_cast<int64_t>(result.values.size()));
    }
  }
  return result;
}

}  // namespace winnow
