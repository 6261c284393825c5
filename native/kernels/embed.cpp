#include "embed.h"

#include "pool.h"

namespace winnow {

Status Embed(const Context&, const EmbedParams& p) {
  for (int64_t t = 0; t < p.num_tokens; t++) {
    if (p.ids[t] < 0 || p.ids[t] >= p.weight->rows) {
      return Status::Shape("embed.ids", "token ids in [0, " + std::to_string(p.weight->rows) + ")",
                           std::to_string(p.ids[t]) + " at " + std::to_string(t));
    }
  }
  int64_t width = p.weight->cols;
  Pool::Instance().ParallelRanges(p.num_tokens, 8, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      float* out = p.out + t * width;
      UnpackRow(*p.weight, p.ids[t], out);
      if (p.scale != 1.f) {
        for (int64_t i = 0; i < width; i++) out[i] *= p.scale;
      }
    }
  });
  return {};
}

}  // namespace winnow
