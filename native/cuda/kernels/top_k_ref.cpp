#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference.h"

namespace winnow {

void top_k_ref(const WnTopKParams& p, int32_t* indices, int32_t* counts) {
  for (int row = 0; row < p.num_rows; row++) {
    const float* scores = p.scores + row * p.row_stride;
    const int length = p.lens ? p.lens[row] : p.row_len;
    auto is_protected = [&](int i) {
      const int place = p.segment_len ? i % p.segment_len : i;
      return place < p.sink_tokens || place >= (p.segment_len ? p.segment_len : length) - p.recent_tokens;
    };
    std::vector<int32_t> order(length);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      if (is_protected(a) != is_protected(b)) return is_protected(a);
      if (is_protected(a)) return false;
      if (std::isnan(scores[a]) || std::isnan(scores[b])) return !std::isnan(scores[a]) && std::isnan(scores[b]);
      return scores[a] > scores[b];
    });
    counts[row] = std::min(p.k, length);
    std::sort(order.begin(), order.begin() + counts[row]);
    std::copy(order.begin(), order.begin() + counts[row], indices + static_cast<int64_t>(row) * p.indices_stride);
  }
}

}  // namespace winnow
