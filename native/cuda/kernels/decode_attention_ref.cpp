#include <algorithm>

#include "attention_ref.h"
#include "reference.h"

namespace winnow {

void decode_attention_ref(const WnDecodeAttentionParams& p, double* out, double* lse) {
  const int group_size = p.num_query_heads / p.num_kv_heads;
  for (int row = 0; row < p.batch; row++)
    for (int head = 0; head < p.num_query_heads; head++) {
      const int64_t segment = static_cast<int64_t>(row) * p.num_kv_heads + head / group_size;
      const int64_t list = p.one_list_per_row ? row : segment;
      const int length = p.kv_lens[segment], len = p.selection == WN_SELECT_ALL ? -1 : p.selected_lens[list];
      const int32_t* entries = len < 0 ? nullptr : p.selected + list * p.selected_stride;
      const int page = p.selection == WN_SELECT_TOKENS ? 1 : p.selected_page > 0 ? p.selected_page : 64;
      std::vector<int> slots;
      for (int slot = 0; slot < length; slot++) {
        const bool is_listed = len < 0 || std::find(entries, entries + len, slot / page) != entries + len;
        if (is_listed || (p.reads_own && len > 0 && slot == length - 1)) slots.push_back(slot);
      }
      auto arena_slot = [&](int j) {
        return static_cast<int64_t>(p.page_table[segment * p.page_table_stride + slots[j] / 64]) * 64 + slots[j] % 64;
      };
      auto element = [&](int64_t slot, bool is_value, int d) {
        return bf16_value(p.pages, (slot / 64 * 128 + (is_value ? 64 : 0) + slot % 64) * p.head_dim + d);
      };
      const int64_t at = (static_cast<int64_t>(row) * p.num_query_heads + head) * p.head_dim;
      auto score = [&](int j) {
        double sum = 0;
        for (int d = 0; d < p.head_dim; d++) sum += bf16_value(p.q, at + d) * element(arena_slot(j), false, d);
        return sum * p.softmax_scale + (p.log_bias ? p.log_bias[arena_slot(j)] : 0);
      };
      auto value = [&](int j, int d) { return element(arena_slot(j), true, d); };
      attend(static_cast<int>(slots.size()), p.head_dim, score, value, out + at,
             lse ? lse + static_cast<int64_t>(row) * p.num_query_heads + head : nullptr);
    }
}

}  // namespace winnow
