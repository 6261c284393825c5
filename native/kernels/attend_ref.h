/// One query over one list of slots in fp64, for the references of prefill and decode.
#pragma once

#include <functional>

#include "cache.h"

namespace winnow {

struct AttendOneParams {
  const HeadCache* head;
  DType element;
  int32_t head_dim;
  int32_t head_dim_v;
  const void* q;  ///< [head_dim] elements
  double softmax_scale;
  double soft_cap;
  std::function<bool(int32_t slot)> sees;
};

/// out [head_dim_v]; lse -inf and out 0 when nothing is seen; probs [head.len] or null.
void AttendOneRef(const AttendOneParams& params, double* out, double* lse, double* probs);

/// Element i of f32 or bf16 values.
double ElementAt(const void* values, DType element, int64_t i);

}  // namespace winnow
