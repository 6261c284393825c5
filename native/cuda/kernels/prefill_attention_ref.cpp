#include "attention_ref.h"
#include "reference.h"

namespace winnow {

bool prefill_visible(const WnPrefillAttentionParams& p, int head, int row, int column) {
  const int64_t position = static_cast<int64_t>(row) + p.q_offset;
  if (column >= p.kv_len || column > position) return false;
  if (p.window_tokens > 0) return column < p.sink_tokens || column > position - p.window_tokens;
  if (!p.block_row_ptr) return true;
  const int row_blocks = (p.query_len + WN_PREFILL_ROW_BLOCK - 1) / WN_PREFILL_ROW_BLOCK;
  const int32_t* slice = p.block_row_ptr + head * row_blocks + row / WN_PREFILL_ROW_BLOCK;
  for (int i = slice[0]; i < slice[1]; i++)
    if (p.block_ids[i] == column / WN_PREFILL_COLUMN_BLOCK) return true;
  return false;
}

void prefill_attention_ref(const WnPrefillAttentionParams& p, double* out, double* lse) {
  for (int head = 0; head < p.num_query_heads; head++) {
    const int kv_head = head / (p.num_query_heads / p.num_kv_heads);
    auto element = [&](bool is_value, int token, int d) {
      if (!p.pages) return bf16_value(is_value ? p.v : p.k, token * p.kv_token_stride + kv_head * p.kv_head_stride + d);
      const int64_t page = p.page_table[kv_head * p.page_table_stride + token / 64];
      return bf16_value(p.pages, (page * 128 + (is_value ? 64 : 0) + token % 64) * p.head_dim + d);
    };
    for (int row = 0; row < p.query_len; row++) {
      std::vector<int> seen;
      for (int column = 0; column < p.kv_len; column++)
        if (prefill_visible(p, head, row, column)) seen.push_back(column);
      const int64_t at = (static_cast<int64_t>(row) * p.num_query_heads + head) * p.head_dim;
      auto score = [&](int j) {
        double sum = 0;
        for (int d = 0; d < p.head_dim; d++) sum += bf16_value(p.q, at + d) * element(false, seen[j], d);
        return sum * p.softmax_scale;
      };
      auto value = [&](int j, int d) { return element(true, seen[j], d); };
      attend(static_cast<int>(seen.size()), p.head_dim, score, value, out + at,
             lse == nullptr       ? nullptr
             : p.lse_by_token ? lse + static_cast<int64_t>(row) * p.num_query_heads + head
                              : lse + static_cast<int64_t>(head) * p.query_len + row);
    }
  }
}

}  // namespace winnow
