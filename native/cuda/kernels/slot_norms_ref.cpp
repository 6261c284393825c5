#include <cmath>

#include "reference.h"

namespace winnow {

void slot_norms_ref(const WnSlotNormsParams& p, double* norms) {
  for (int64_t list = 0; list < int64_t{p.cache.rows} * p.cache.num_kv_heads; list++)
    for (int slot = 0; slot < p.max_len; slot++) {
      double sum = 0;
      const bool is_there = slot < p.cache.kv_lens[list];
      for (int c = 0; is_there && c < p.cache.head_dim; c++) {
        const double x = bf16_value(p.cache.pages, arena_element(p.cache, arena_slot(p.cache, list, slot), p.what) + c);
        sum += x * x;
      }
      norms[list * p.max_len + slot] = is_there ? std::sqrt(sum) : -INFINITY;
    }
}

}  // namespace winnow
