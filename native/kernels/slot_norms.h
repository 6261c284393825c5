#pragma once

#include "cache.h"
#include "isa.h"
#include "status.h"

namespace winnow {

struct SlotNormsParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t what;  ///< 0 keys, 1 values
  int64_t max_len;
  float* out;
};

/// L2 norm of each slot's key or value as the cache reads it.
///
/// Shapes    out [rows, num_kv_heads, max_len]   f32, -inf beyond a head's length
/// Limits    max_len >= every head's length
/// Error     relative 1e-6; the same bits on every instruction set
/// Cost      one read of the plane
Status SlotNorms(const Context& context, const SlotNormsParams& params);
void SlotNormsRef(const SlotNormsParams& params, double* out);

struct SlotNormsKernels {
  /// Norms of `count` rows of `dim` elements, one behind the other.
  void (*f32)(const float* rows, int32_t count, int32_t dim, float* out);
  void (*bf16)(const uint16_t* rows, int32_t count, int32_t dim, float* out);
};
WINNOW_DECLARE_KERNELS(SlotNormsKernels);

}  // namespace winnow
