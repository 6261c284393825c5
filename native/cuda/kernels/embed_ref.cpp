#include <cmath>

#include "reference.h"

namespace winnow {

void embed_ref(const WnEmbedParams& p, double* out) {
  for (int64_t token = 0; token < p.num_tokens; token++)
    for (int i = 0; i < p.width; i++) {
      const int32_t id = p.ids[token];
      out[token * p.width + i] =
          id < 0 || id >= p.vocab_size ? NAN : p.scale * bf16_value(p.weight, int64_t{id} * p.width + i);
    }
}

}  // namespace winnow
