#include <cstdlib>

#include "reference.h"

namespace winnow {

void rope_ref(const WnRopeParams& p, double* out) {
  const int half = p.rotary_dim / 2;
  for (int token = 0; token < p.num_tokens; token++)
    for (int head = 0; head < p.num_heads; head++) {
      const int64_t from = token * p.token_stride + head * p.head_dim;
      double* target = out + (static_cast<int64_t>(token) * p.num_heads + head) * p.head_dim;
      for (int d = 0; d < p.head_dim; d++) target[d] = bf16_value(p.x, from + d);
      for (int i = 0; i < half; i++) {
        const int position = p.positions[token];
        const int64_t at = static_cast<int64_t>(std::abs(position)) * half + i;
        const double c = p.cos_table[at], s = position < 0 ? -p.sin_table[at] : p.sin_table[at];
        const double a = target[i], b = target[i + half];
        target[i] = a * c - b * s;
        target[i + half] = b * c + a * s;
      }
    }
}

}  // namespace winnow
