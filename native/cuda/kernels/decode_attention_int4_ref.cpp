#include "attention_ref.h"
#include "quantised_page.h"
#include "reference.h"

namespace winnow {

double half_value(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction ? std::nan("") : INFINITY)
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

void decode_attention_int4_ref(const WnDecodeAttentionInt4Params& p, double* out, double* lse) {
  const int group_size = p.num_query_heads / p.num_kv_heads, head_dim = p.head_dim;
  for (int row = 0; row < p.batch; row++)
    for (int head = 0; head < p.num_query_heads; head++) {
      const int64_t segment = static_cast<int64_t>(row) * p.num_kv_heads + head / group_size;
      auto element = [&](int token, bool is_value, int d) {
        const int64_t page = p.page_table[segment * p.page_table_stride + token / 64];
        const auto* bytes = static_cast<const uint8_t*>(p.pages) + page * quantised_page_bytes(head_dim);
        const int slot = token % 64;
        const uint8_t pair = bytes[(is_value ? quantised_value_codes(head_dim) : 0) + slot * (head_dim / 2) + d / 2];
        const int code = d % 2 ? pair >> 4 : pair & 15;
        const auto* params = reinterpret_cast<const uint16_t*>(
            bytes + (is_value ? quantised_value_params(head_dim) : quantised_key_params(head_dim)));
        const int index = is_value ? slot * (head_dim / 32) + d / 32 : slot / 32 * head_dim + d;
        return half_value(params[2 * index + 1]) + half_value(params[2 * index]) * code;
      };
      const int64_t at = (static_cast<int64_t>(row) * p.num_query_heads + head) * head_dim;
      auto score = [&](int j) {
        double sum = 0;
        for (int d = 0; d < head_dim; d++) sum += bf16_value(p.q, at + d) * element(j, false, d);
        return sum * p.softmax_scale;
      };
      auto value = [&](int j, int d) { return element(j, true, d); };
      attend(p.kv_lens[segment], head_dim, score, value, out + at,
             lse ? lse + static_cast<int64_t>(row) * p.num_query_heads + head : nullptr);
    }
}

}  // namespace winnow
