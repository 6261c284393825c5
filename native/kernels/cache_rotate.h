/// Moves slots to other positions: stored keys are turned by the difference, since RoPE angles add up.
///
///   (x_i, x_{i + r/2}) <- (x_i c - x_{i+r/2} s, x_{i+r/2} c + x_i s),  c = cos(delta w_i), s = sin(delta w_i), i < r/2
///
/// c and s are row |delta| of the model's table over its position-0 cosine, so that a scaling that multiplies the table
/// (YaRN) is not applied twice. Frequencies that depend on the length of the text cannot be turned so.
///
/// Shapes    slots    [H][stride]   int32, ascending, the first lens[h] of each head (-1: all slots, delta of slot s at [s])
///           delta    [H][stride]   int32 positions; the new position must not be negative
///           cos_sin  [max_positions, rope_dims]  f32; null: only positions change (keys stored un-rotated)
/// Limits    |delta| < max_positions; rope_dims even, <= head_dim; element keys only (quantised pages come back as elements)
/// Error     f32: 4e-7 of the key's norm a turn; bf16: 2^-8 of it. delta, then -delta: twice that
/// Returns   Status; a wrong argument changes nothing
#pragma once

#include <cstdint>

namespace winnow {

struct RotateParams {
  int32_t layer;
  const int32_t* slots;
  int64_t stride;
  const int32_t* lens;
  const int32_t* delta;
  const float* cos_sin;
  int64_t max_positions;
  int32_t rope_dims;
};

/// One key in fp64; `scale` is the table's cosine at position 0.
void RotateReference(double* key, const float* cos_sin, int32_t rope_dims, int32_t delta, double scale);

}  // namespace winnow
