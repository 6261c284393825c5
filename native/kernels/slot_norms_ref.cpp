#include <cmath>

#include "slot_norms.h"

namespace winnow {

void SlotNormsRef(const SlotNormsParams& p, double* out) {
  const int32_t heads = p.caches[0]->geometry(p.layer).num_kv_heads;
  float row[256];
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t h = 0; h < heads; h++) {
      const HeadCache& head = p.caches[r]->head(p.layer, h);
      for (int64_t s = 0; s < p.max_len; s++) {
        double& norm = out[(int64_t{r} * heads + h) * p.max_len + s];
        norm = -INFINITY;
        if (s >= head.len) continue;
        const Page& page = *head.pages[s / kPageSize];
        ReadRows(page, p.what, static_cast<int32_t>(s % kPageSize), 1, row, 256);
        double sum = 0;
        for (int32_t c = 0; c < page.dims[p.what]; c++) sum += static_cast<double>(row[c]) * row[c];
        norm = std::sqrt(sum);
      }
    }
  }
}

}  // namespace winnow
