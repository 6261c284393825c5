#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"

namespace winnow {

struct RopeParams {
  const void* qkv;
  DType qkv_type;
  const int32_t* positions;
  const float* cos_sin;
  int64_t num_tokens;
  int32_t num_query_heads, num_kv_heads, head_dim, rope_dims;
  int64_t max_positions;
  bool rotate_keys;
  const float *q_norm, *k_norm;
  float eps;
  void* q_out;
  void* k_out;
  DType k_type;
  void* v_out;
  DType v_type;
};

/// QK-norm, then rotary embedding, of a fused projection; v is only converted.
///
///   (x_i, x_{i + r/2}) <- (x_i cos_i - x_{i+r/2} sin_i, x_{i+r/2} cos_i + x_i sin_i),  i < r/2 = rope_dims / 2;
///   channels from rope_dims on pass through
///
/// Shapes    qkv        [num_tokens, (Hq + 2 H) * head_dim]  f32 or bf16: queries, keys, values
///           positions  [num_tokens]                         int32 in [0, max_positions)
///           cos_sin    [max_positions, rope_dims]           f32: cos half, sin half
///           q_norm, k_norm  [head_dim]                      f32 gains of an RMS norm over each head, or null
///           q_out      [num_tokens, Hq * head_dim]          context.act()
///           k_out, v_out  [num_tokens, H * head_dim]        f32 or bf16 (k_type, v_type); null = not wanted
/// Limits    rope_dims even, <= head_dim <= 1024; rotate_keys false stores keys normed but not rotated
/// Error     f32 relative RMS <= 1e-6, bf16 <= 2^-8; reference numerics: the same bits on every instruction set
/// Cost      reads qkv once, writes each output once; no allocation
/// Returns   Status; a position out of range is kShape
Status Rope(const Context& context, const RopeParams& params);

/// One head of one token: optional QK-norm (gain null: none), optional rotation (cos_sin null: none), conversion.
struct RopeKernels {
  void (*head)(const void* x, bool bf16_in, const float* gain, float eps, const float* cos_sin, int32_t rope_dims,
               int32_t head_dim, void* out, bool bf16_out);
};
WINNOW_DECLARE_KERNELS(RopeKernels);

/// The naive fp64 form of the same.
void RopeReference(const double* x, const float* gain, double eps, const float* cos_sin, int32_t rope_dims, int32_t head_dim,
                   double* out);

}  // namespace winnow
