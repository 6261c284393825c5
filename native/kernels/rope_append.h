#pragma once

#include "cache.h"
#include "isa.h"
#include "rope.h"
#include "status.h"

namespace winnow {

struct RopeAppendParams {
  const void* qkv;
  DType qkv_type;
  const int32_t* positions;
  const float* cos_sin;
  int64_t max_positions;
  int32_t rope_dims;
  int32_t query_len;
  int32_t num_query_heads;
  Cache* const* caches;
  int32_t rows;
  int32_t layer;
  bool pre_rope_keys;
  const float* q_norm;
  const float* k_norm;
  float eps;
  void* q_out;
};

/// Rotary embedding of a fused projection (see Rope), then append of its keys and values to each row's cache.
///
/// Every head of the layer grows by query_len slots in every row, with these positions, count 1 and bias 0.
///
/// Shapes    qkv        [rows * query_len, (Hq + 2 H) * head_dim]   f32 or bf16
///           positions  [rows * query_len]                          int32
///           q_out      [rows * query_len, Hq * head_dim]           context.act()
/// Limits    caches distinct, of context.act(), head_dim == head_dim_v
/// Error     that of Rope; keys and values are stored rounded to the cache's element type
/// Returns   Status; on failure no cache has changed
Status RopeAppend(const Context& context, const RopeAppendParams& params);

}  // namespace winnow
