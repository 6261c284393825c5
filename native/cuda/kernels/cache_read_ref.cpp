#include "packed_page.h"
#include "reference.h"

namespace winnow {

void cache_read_ref(const WnCacheReadParams& p, double* out) {
  const WnCacheView& cache = p.cache;
  const int width = p.what <= WN_READ_VALUES ? cache.head_dim : 1;
  for (int64_t head = 0; head < int64_t{cache.rows} * cache.num_kv_heads; head++)
    for (int64_t slot = 0; slot < p.max_len; slot++)
      for (int d = 0; d < width; d++) {
        double& value = out[(head * p.max_len + slot) * width + d];
        value = 0;
        if (slot >= cache.kv_lens[head]) continue;
        const int32_t named = cache.page_table[head * cache.page_table_stride + slot / 64];
        const WnPageFormat* packed = named < 0 ? cache.formats + entry_format(named) : nullptr;
        const int64_t page = entry_page(named), entry = page * 64 + slot % 64;
        if (p.what == WN_READ_BIAS) value = (packed ? packed->log_bias : cache.log_bias)[entry];
        else if (p.what == WN_READ_COUNTS) value = (packed ? packed->counts : cache.counts)[entry];
        else if (p.what == WN_READ_POSITIONS) value = (packed ? packed->positions : cache.positions)[entry];
        else if (packed) value = page_value(*packed, page, p.what, width, width, static_cast<int>(slot % 64), d);
        else value = bf16_value(cache.pages, (page * 128 + 64 * p.what + slot % 64) * width + d);
      }
}

}  // namespace winnow
