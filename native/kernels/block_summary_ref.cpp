#include <algorithm>
#include <cmath>

#include "block_summary.h"

namespace winnow {

void BlockSummaryRef(const BlockSummaryParams& p, double* out) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  float row[256];
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const HeadCache& head = p.caches[r]->head(p.layer, h);
      for (int64_t page = p.from_page; page < p.num_pages; page++) {
        double* low = out + ((int64_t{r} * shape.num_kv_heads + h) * p.num_pages + page) * 2 * shape.head_dim;
        double* high = low + shape.head_dim;
        std::fill(low, high, INFINITY);
        std::fill(high, high + shape.head_dim, -INFINITY);
        for (int64_t s = page * p.page_size; s < (page + 1) * p.page_size && s < head.len; s++) {
          ReadRows(*head.pages[s / kPageSize], 0, static_cast<int32_t>(s % kPageSize), 1, row, 256);
          for (int32_t c = 0; c < shape.head_dim; c++) {
            low[c] = std::min(low[c], static_cast<double>(row[c]));
            high[c] = std::max(high[c], static_cast<double>(row[c]));
          }
        }
      }
    }
  }
}

}  // namespace winnow
