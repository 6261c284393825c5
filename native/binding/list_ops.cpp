#include "../kernels/list_ops.h"

#include <algorithm>
#include <cmath>

#include "caches.h"
#include "list_pair.h"

/// Ops on lists of scores and slots.
namespace winnow {

namespace {

/// Lists and length of an f32 tensor: its last axis is a list.
struct Lines {
  Tensor tensor;
  int64_t lists;
  int64_t length;
};
Lines LinesOf(Call& call, int i, const char* what) {
  const Tensor x = call.AnyTensor(i, what);
  if (x.dtype != DType::kF32 || x.rank < 2) call.Refuse(what, "f32 lists along the last axis", Describe(x));
  const int64_t length = x.dim(x.rank - 1);
  return {x, length == 0 ? 0 : x.size() / length, length};
}

/// A new tensor with the dims of x, but `drop` of the last axes.
TensorId MakeLike(Call& call, DType dtype, const Tensor& x, int32_t drop, Tensor* out) {
  TensorId id = 0;
  call.Check(call.runtime.tensors.Make(dtype, x.dims.data(), x.rank - drop, &id));
  const Tensor* made = nullptr;
  call.Check(call.runtime.tensors.Get(id, call.name, &made));
  *out = *made;
  return id;
}

napi_value Softmax(Call& call) {
  const Lines x = LinesOf(call, 0, "x");
  Tensor out;
  const TensorId id = MakeLike(call, DType::kF32, x.tensor, 0, &out);
  SoftmaxLists(call.runtime.context, x.tensor.as<float>(), x.lists, x.length, out.as<float>());
  return call.Value(id);
}

napi_value Entropy(Call& call) {
  const Lines x = LinesOf(call, 0, "x");
  Tensor out;
  const TensorId id = MakeLike(call, DType::kF32, x.tensor, 1, &out);
  call.Check(EntropyLists(x.tensor.as<float>(), x.lists, x.length, out.as<float>()));
  return call.Value(id);
}

napi_value Largest(Call& call) {
  const Lines x = LinesOf(call, 0, "x");
  Tensor out;
  const TensorId id = MakeLike(call, DType::kI32, x.tensor, 1, &out);
  ArgmaxLists(x.tensor.as<float>(), x.lists, x.length, out.as<int32_t>());
  return call.Value(id);
}

napi_value Nucleus(Call& call) {
  const Tensor weights = call.TensorOf(0, "weights", DType::kF32, {-1, -1, -1});
  TopKResult result;
  call.Check(TopP({.weights = weights.as<float>(),
                   .lists = weights.dim(0) * weights.dim(1),
                   .length = weights.dim(2),
                   .mass = call.Number(1, "mass"),
                   .protect_first = static_cast<int32_t>(call.Int(2, "protectFirst", 0, INT32_MAX)),
                   .protect_last = static_cast<int32_t>(call.Int(3, "protectLast", 0, INT32_MAX))},
                  &result));
  return ListPair(call, weights.dim(0), weights.dim(1), result);
}

napi_value Take(Call& call) {
  const Tensor values = call.AnyTensor(0, "values");
  if ((values.dtype != DType::kF32 && values.dtype != DType::kI32) || values.rank != 3) call.Refuse("values", "f32 or i32 of rank 3", Describe(values));
  const Tensor index = call.TensorOf(1, "index", DType::kI32, {values.dim(0), values.dim(1), -1});
  Tensor out;
  const TensorId id = MakeLike(call, values.dtype, index, 0, &out);
  const int64_t lists = values.dim(0) * values.dim(1);
  call.Check(values.dtype == DType::kF32 ? TakeLists(values.as<float>(), values.dim(2), index.as<int32_t>(), lists, index.dim(2),
                                                     -INFINITY, out.as<float>())
                                         : TakeLists(values.as<int32_t>(), values.dim(2), index.as<int32_t>(), lists, index.dim(2), -1,
                                                     out.as<int32_t>()));
  return call.Value(id);
}

napi_value Complement(Call& call) {
  const Tensor values = call.TensorOf(0, "values", DType::kI32, {-1, -1, -1});
  const int64_t lists = values.dim(0) * values.dim(1);
  const Tensor lens = call.TensorOf(1, "lens", DType::kI32, {values.dim(0), values.dim(1)});
  const Span<const int32_t> wholes = call.Ints(2, "wholes");
  if (wholes.size != lists) call.Refuse("wholes", std::to_string(lists) + " lengths", std::to_string(wholes.size));
  TopKResult result;
  result.offsets.assign(1, 0);
  for (int64_t list = 0; list < lists; list++) {
    const int32_t* named = values.as<int32_t>() + list * values.dim(2);
    const int32_t len = lens.as<int32_t>()[list];
    if (len < -1 || len > values.dim(2)) call.Refuse("lens", "-1 to " + std::to_string(values.dim(2)), std::to_string(len));
    if (wholes[list] < 0 || wholes[list] > (1 << 24)) call.Refuse("wholes", "0 to 16777216 slots", std::to_string(wholes[list]));
    int32_t next = 0;
    for (int32_t slot = 0; len >= 0 && slot < wholes[list]; slot++) {
      while (next < len && named[next] < slot) next++;
      if (next == len || named[next] != slot) result.values.push_back(slot);
    }
    result.offsets.push_back(static_cast<int64_t>(result.values.size()));
  }
  return ListPair(call, values.dim(0), values.dim(1), result);
}

}  // namespace

void RegisterListOps(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"softmaxLists", Softmax},
            {"entropyLists", Entropy},
            {"argmaxLists", Largest},
            {"topP", Nucleus},
            {"takeLists", Take},
            {"complementLists", Complement}});
}

}  // namespace winnow
