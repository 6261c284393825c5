#pragma once

#include <vector>

#include "../kernels/attend_sets.h"
#include "call.h"

/// What attendSets is told, checked as far as shapes go: both backends read it here.
namespace winnow {

/// What a call already knows of itself.
struct SetsShape {
  int64_t rows, query_len;
  int32_t num_query_heads, num_kv_heads, head_dim_v;
};

struct SetsArguments {
  float softmax_scale, soft_cap;
  int32_t sliding_window;
  std::vector<KeySet> sets;
  Span<const int32_t> heads;  ///< empty: all
  Visible visible;
  Tensor relation;  ///< parents or segments
  bool old_only;
  Lists queries;
  Tensor bias;
  bool bias_by_entry;
  PositionRule positions;
  int32_t clamp;
  Tensor cos_sin;
  bool keys_rotated;
  bool out_f32;
  Tensor out, lse, counts, seen;  ///< data null where not wanted
};

SetsArguments SetsArgumentsOf(const Call& call, const SetsShape& shape);

}  // namespace winnow
