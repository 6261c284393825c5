#pragma once

#include <cstdint>

namespace winnow {

struct RandomScoresParams {
  int64_t rows;
  int64_t num_kv_heads;
  int64_t length;
  uint64_t seed;
  uint64_t layer;
  float* out;
};

/// Uniform scores in [0, 1) from a counter-based hash of (seed, layer, head, slot), equal for every row.
///
/// Shapes    out [rows, num_kv_heads, length]   f32, multiples of 2^-24
/// Cost      one hash an entry; the same values on every machine
void RandomScores(const RandomScoresParams& params);

}  // namespace winnow
