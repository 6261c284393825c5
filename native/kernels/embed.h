#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"
#include "weights.h"

namespace winnow {

struct EmbedParams {
  const PackedMatrix* weight;
  const int32_t* ids;
  int64_t num_tokens;
  float scale;
  float* out;
};

/// Rows of a packed matrix by token id.
///
///   out[t] = scale * weight[ids[t]]
///
/// Shapes    ids  [num_tokens]        int32 in [0, rows)
///           out  [num_tokens, cols]  f32
/// Error     exact (one rounding for the scale); the same bits on every instruction set
/// Cost      cols packed values a token; no allocation
/// Returns   Status; an id out of range is kShape and nothing is written
Status Embed(const Context& context, const EmbedParams& params);

}  // namespace winnow
