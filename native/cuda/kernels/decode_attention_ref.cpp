#include "attention_ref.h"
#include "reference.h"

namespace winnow {

void decode_attention_ref(const WnDecodeAttentionParams& p, double* out, double* lse) {
  const int group_size = p.num_query_heads / p.num_kv_heads;
  for (int row = 0; row < p.batch; row++)
    for (int head = 0; head < p.num_query_heads; head++) {
      const int64_t segment = static_cast<int64_t>(row) * p.num_kv_heads + head / group_size;
      std::vector<int> slots;
      if (p.selection == WN_SELECT_ALL)
        for (int i = 0; i < p.kv_lens[segment]; i++) slots.push_back(i);
      else
        for (int i = 0; i < p.selected_lens[segment]; i++) {
          const int chosen = p.selected[segment * p.selected_stride + i];
          if (p.selection == WN_SELECT_TOKENS) slots.push_back(chosen);
          for (int j = 0; p.selection == WN_SELECT_PAGES && j < 64; j++)
            if (chosen * 64 + j < p.kv_lens[segment]) slots.push_back(chosen * 64 + j);
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
