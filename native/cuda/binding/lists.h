#pragma once

#include <algorithm>

#include "backend.h"
#include "winnow_cuda.h"

/// What ops on lists of scores share.
namespace winnow::gpu {

/// A new tensor with the dims of x, but `drop` of the last axes.
inline TensorId MakeLike(Call& call, DType dtype, const Tensor& x, int32_t drop, Tensor* out) {
  TensorId id = 0;
  call.Check(call.runtime.tensors.Make(dtype, x.dims.data(), x.rank - drop, &id));
  const Tensor* made = nullptr;
  call.Check(call.runtime.tensors.Get(id, call.name, &made));
  *out = *made;
  return id;
}

/// Lists that scores of query heads become, WN_GQA_*.
inline int32_t ListsAfter(int64_t gqa, int64_t num_query_heads, int64_t num_kv_heads) {
  return static_cast<int32_t>(gqa == WN_GQA_NONE ? num_query_heads : gqa == WN_GQA_ALL ? 1 : num_kv_heads);
}

inline napi_value PairOf(Call& call, TensorId first, TensorId second) {
  napi_value pair;
  napi_create_array_with_length(call.env, 2, &pair);
  napi_set_element(call.env, pair, 0, call.Value(first));
  napi_set_element(call.env, pair, 1, call.Value(second));
  return pair;
}

/// Lists of whatever length under one that fits the longest: those of `wide` i32 [rows, lists, stride] with lens i32 [rows, lists].
/// One host read; none where the lengths are on the host already.
napi_value Tightened(Call& call, const Tensor& wide, const Tensor& lens, TensorId lens_id);
napi_value Tightened(Call& call, const Tensor& wide, const Tensor& lens, TensorId lens_id, const std::vector<int32_t>& lengths);

}  // namespace winnow::gpu
