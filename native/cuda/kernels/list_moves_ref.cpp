#include <algorithm>
#include <cstring>

#include "reference.h"

namespace winnow {
namespace {

void complement_ref(const WnListMovesParams& p, int64_t list, int32_t* out) {
  const int32_t* named = p.index + list * p.length;
  const int len = p.index_lens[list];
  int written = 0;
  for (int slot = 0; len >= 0 && slot < p.lens[list]; slot++)
    if (std::find(named, named + len, slot) == named + len) out[written++] = slot;
  p.out_lens[list] = written;
  std::fill(out + written, out + p.width, -1);
}

float reduce_ref(const WnListMovesParams& p, int64_t list, int i) {
  const float* x = static_cast<const float*>(p.values) + list * p.length * p.width + i;
  float result = x[0];
  for (int64_t s = 1; s < p.length; s++) result = p.how == 2 ? std::max(result, x[s * p.width]) : result + x[s * p.width];
  return p.how == 0 ? result * (1.0f / static_cast<float>(p.length)) : result;
}

void choose_ref(const WnListMovesParams& p, int64_t list, uint32_t* out) {
  const void* predicate = p.index + list / p.how;
  const bool is_yes = p.is_predicate_integer ? *static_cast<const int32_t*>(predicate) > 0 : *static_cast<const float*>(predicate) > 0;
  const int width = is_yes ? p.width : p.unit;
  const auto* from = static_cast<const uint32_t*>(is_yes ? p.values : p.other) + list * width;
  for (int i = 0; i < p.length; i++) out[i] = i < width ? from[i] : p.is_integer ? 0xffffffffu : 0u;
}

}  // namespace

void list_moves_ref(const WnListMovesParams& p) {
  const uint32_t missing = p.is_integer ? 0xffffffffu : 0xff800000u;
  const auto* values = static_cast<const uint32_t*>(p.values);
  auto* out = static_cast<uint32_t*>(p.out);
  for (int64_t list = 0; list < p.num_lists; list++) {
    if (p.op == WN_MOVE_TAKE) {
      for (int i = 0; i < p.length; i++) {
        const int32_t at = p.index[list * p.length + i];
        out[list * p.length + i] = at >= 0 && at < p.width ? values[list * p.width + at] : missing;
      }
    } else if (p.op == WN_MOVE_MASK) {
      for (int i = 0; i < p.width; i++) out[list * p.width + i] = p.lens[list] < 0 ? missing : values[list * p.width + i];
      for (int i = 0; i < p.lens[list]; i++) {
        const int32_t at = p.index[list * p.length + i];
        if (at >= 0 && at < p.width) out[list * p.width + at] = missing;
      }
    } else if (p.op == WN_MOVE_READ) {
      for (int i = 0; i < p.length; i++)
        out[list * p.length + i] = i < p.lens[list] && i < p.width ? values[list * p.width + i] : missing;
    } else if (p.op == WN_MOVE_WRITE) {
      const size_t bytes = size_t{4} * p.length * p.unit;
      std::memcpy(out + (list * p.width + p.lens[list] - p.length) * p.unit, values + list * p.length * p.unit, bytes);
    } else if (p.op == WN_MOVE_COMPLEMENT) {
      complement_ref(p, list, static_cast<int32_t*>(p.out) + list * p.width);
    } else if (p.op == WN_MOVE_CHOOSE) {
      choose_ref(p, list, out + list * p.length);
    } else {
      for (int i = 0; i < p.width; i++) static_cast<float*>(p.out)[list * p.width + i] = reduce_ref(p, list, i);
    }
  }
}

}  // namespace winnow
