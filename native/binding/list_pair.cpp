#include "list_pair.h"

#include <algorithm>

namespace winnow {

napi_value ListPair(Call& call, int64_t rows, int64_t lists, const TopKResult& result) {
  const int64_t max_len = std::max<int64_t>(1, result.MaxLen());
  Tensor indices, lens;
  const TensorId indices_id = call.NewTensor(DType::kI32, {rows, lists, max_len}, &indices);
  const TensorId lens_id = call.NewTensor(DType::kI32, {rows, lists}, &lens);
  std::fill(indices.as<int32_t>(), indices.as<int32_t>() + indices.size(), -1);
  for (int64_t list = 0; list < rows * lists; list++) {
    lens.as<int32_t>()[list] = static_cast<int32_t>(result.LenOf(list));
    std::copy(result.values.begin() + result.offsets[list], result.values.begin() + result.offsets[list + 1],
              indices.as<int32_t>() + list * max_len);
  }
  napi_value pair;
  napi_create_array_with_length(call.env, 2, &pair);
  napi_set_element(call.env, pair, 0, call.Value(indices_id));
  napi_set_element(call.env, pair, 1, call.Value(lens_id));
  return pair;
}

}  // namespace winnow
