#include "attention_ref.h"
#include "packed_page.h"
#include "reference.h"

namespace winnow {

void decode_packed_ref(const WnDecodePackedParams& p, double* out, double* lse) {
  const WnCacheView& cache = p.cache;
  const int group_size = p.num_query_heads / cache.num_kv_heads, head_dim = cache.head_dim;
  const WnPageFormat elements{.pages = cache.pages};
  for (int row = 0; row < cache.rows; row++)
    for (int head = 0; head < p.num_query_heads; head++) {
      const int64_t segment = static_cast<int64_t>(row) * cache.num_kv_heads + head / group_size;
      auto number = [&](int slot, int what, int d) {
        const int32_t entry = cache.page_table[segment * cache.page_table_stride + slot / 64];
        return page_value(entry < 0 ? p.format : elements, entry_page(entry), what, head_dim, head_dim, slot % 64, d);
      };
      const int64_t at = (static_cast<int64_t>(row) * p.num_query_heads + head) * head_dim;
      auto score = [&](int j) {
        double sum = 0;
        for (int d = 0; d < head_dim; d++) sum += bf16_value(p.q, at + d) * number(j, 0, d);
        return sum * p.softmax_scale;
      };
      auto value = [&](int j, int d) { return number(j, 1, d); };
      attend(cache.kv_lens[segment], head_dim, score, value, out + at,
             lse ? lse + static_cast<int64_t>(row) * p.num_query_heads + head : nullptr);
    }
}

}  // namespace winnow
