#pragma once

#include "tensor.h"

namespace winnow {

/// Turns one cached vector from one position to another by a rotary table: out = x * z(to) / z(from), pair by pair, with
/// z(p) = cos_p + i sin_p of the table; from -1 means that x was never rotated.
///
/// Shapes    x, out  [head_dim] elements, may be the same;  cos_sin [positions, rope_dims] f32: cos half, sin half
/// Error     f32 relative RMS <= 1e-6 (a table scaled by an attention factor keeps the factor once), bf16 rounds once
/// Numerics  the same bits on every instruction set
void ShiftRope(const void* x, DType element, int32_t head_dim, const float* cos_sin, int32_t rope_dims, int32_t from, int32_t to,
               void* out);

}  // namespace winnow
