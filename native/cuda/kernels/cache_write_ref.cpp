#include "reference.h"

namespace winnow {

void cache_write_ref(const WnCacheWriteParams& p, uint16_t* pages) {
  for (int row = 0; row < p.batch; row++)
    for (int token = 0; token < p.num_tokens; token++)
      for (int head = 0; head < p.num_kv_heads; head++)
        for (int d = 0; d < p.head_dim; d++) {
          const int64_t segment = static_cast<int64_t>(row) * p.num_kv_heads + head;
          const int slot = p.kv_lens[segment] + token;
          const int64_t page = p.page_table[segment * p.page_table_stride + slot / 64];
          const int64_t from = (static_cast<int64_t>(row) * p.num_tokens + token) * p.token_stride + head * p.head_dim + d;
          pages[(page * 128 + slot % 64) * p.head_dim + d] = static_cast<const uint16_t*>(p.k)[from];
          pages[(page * 128 + 64 + slot % 64) * p.head_dim + d] = static_cast<const uint16_t*>(p.v)[from];
        }
}

}  // namespace winnow
