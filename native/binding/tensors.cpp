#include "call.h"

namespace winnow {

namespace {

int ReadShape(Call& call, int i, int64_t (&dims)[kMaxRank]) {
  uint32_t rank = 0;
  if (static_cast<size_t>(i) >= call.count || napi_get_array_length(call.env, call.arguments[i], &rank) != napi_ok) {
    call.Refuse("shape", "an array of numbers", "a value of another type");
  }
  if (rank < 1 || rank > kMaxRank) call.Refuse("shape", "1 to 6 dimensions", std::to_string(rank));
  for (uint32_t k = 0; k < rank; k++) {
    napi_value element;
    double x = -1;
    napi_get_element(call.env, call.arguments[i], k, &element);
    if (napi_get_value_double(call.env, element, &x) != napi_ok || !(x >= 0 && x <= 1099511627776.0) ||
        x != static_cast<double>(static_cast<int64_t>(x))) {
      call.Refuse("shape", "whole numbers from 0 to 2^40", std::to_string(x));
    }
    dims[k] = static_cast<int64_t>(x);
  }
  return static_cast<int>(rank);
}

napi_value MakeTensor(Call& call) {
  std::string name = call.String(0, "dtype");
  DType dtype = DType::kF32;
  if (name == "bf16") dtype = DType::kBf16;
  else if (name == "i32") dtype = DType::kI32;
  else if (name == "u8") dtype = DType::kU8;
  else if (name != "f32") call.Refuse("dtype", "f32, bf16, i32 or u8", name);
  int64_t dims[kMaxRank];
  int rank = ReadShape(call, 1, dims);
  TensorId id = 0;
  call.Check(call.runtime.tensors.Make(dtype, dims, rank, &id));
  return call.Value(id);
}

napi_value Slice(Call& call) {
  TensorId id = 0;
  call.Check(call.runtime.tensors.Slice(call.Id(0, "t"), call.Int(1, "start", 0, int64_t{1} << 40),
                                        call.Int(2, "count", 0, int64_t{1} << 40), &id));
  return call.Value(id);
}

napi_value Reshape(Call& call) {
  int64_t dims[kMaxRank];
  int rank = ReadShape(call, 1, dims);
  TensorId id = 0;
  call.Check(call.runtime.tensors.Reshape(call.Id(0, "t"), dims, rank, &id));
  return call.Value(id);
}

napi_value Shape(Call& call) {
  Tensor t = call.AnyTensor(0, "t");
  napi_value array;
  napi_create_array_with_length(call.env, static_cast<size_t>(t.rank), &array);
  for (int i = 0; i < t.rank; i++) {
    napi_set_element(call.env, array, static_cast<uint32_t>(i), call.Value(static_cast<double>(t.dims[i])));
  }
  return array;
}

napi_value Free(Call& call) {
  call.Check(call.runtime.tensors.Free(call.Id(0, "t")));
  return call.Nothing();
}
napi_value OpenScope(Call& call) { return call.Value(call.runtime.tensors.OpenScope()); }
napi_value CloseScope(Call& call) {
  call.Check(call.runtime.tensors.CloseScope(static_cast<int32_t>(call.Int(0, "scope", 0, INT32_MAX))));
  return call.Nothing();
}
napi_value Keep(Call& call) {
  call.Check(call.runtime.tensors.Keep(call.Id(0, "t")));
  return call.Nothing();
}

}  // namespace

void init_tensors(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"tensor", MakeTensor},
            {"slice", Slice},
            {"reshape", Reshape},
            {"shape", Shape},
            {"free", Free},
            {"openScope", OpenScope},
            {"closeScope", CloseScope},
            {"keep", Keep}});
  RegisterTransfers(env, exports, runtime);
}

}  // namespace winnow
