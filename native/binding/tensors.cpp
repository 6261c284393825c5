#include <algorithm>
#include <cstring>

#include "../kernels/copy_rows.h"
#include "../kernels/numerics.h"
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

napi_typedarray_type HostType(DType dtype) {
  switch (dtype) {
    case DType::kI32: return napi_int32_array;
    case DType::kU8: return napi_uint8_array;
    default: return napi_float32_array;
  }
}

napi_value Upload(Call& call) {
  Tensor t = call.AnyTensor(0, "t");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (call.count < 2 ||
      napi_get_typedarray_info(call.env, call.arguments[1], &type, &length, &data, nullptr, nullptr) != napi_ok) {
    call.Refuse("data", "a typed array", "a value of another type");
  }
  bool raw_bf16 = t.dtype == DType::kBf16 && type == napi_uint16_array;
  if (!raw_bf16 && type != HostType(t.dtype)) call.Refuse("data", "an array that holds " + Describe(t), "another element type");
  if (static_cast<int64_t>(length) != t.size()) {
    call.Refuse("data", std::to_string(t.size()) + " values for " + Describe(t), std::to_string(length));
  }
  if (t.dtype == DType::kBf16 && !raw_bf16) {
    auto* source = static_cast<const float*>(data);
    for (size_t i = 0; i < length; i++) t.as<Bf16>()[i] = ToBf16(source[i]);
  } else if (length > 0) {
    std::memcpy(t.data, data, t.bytes());
  }
  return call.Nothing();
}

napi_value Download(Call& call) {
  Tensor t = call.AnyTensor(0, "t");
  size_t bytes = static_cast<size_t>(t.size()) * (t.dtype == DType::kU8 ? 1 : 4);
  void* data = nullptr;
  napi_value buffer, array;
  if (napi_create_arraybuffer(call.env, bytes, &data, &buffer) != napi_ok) throw std::bad_alloc();
  if (t.dtype == DType::kBf16) {
    for (int64_t i = 0; i < t.size(); i++) static_cast<float*>(data)[i] = FromBf16(t.as<Bf16>()[i]);
  } else if (bytes > 0) {
    std::memcpy(data, t.data, bytes);
  }
  napi_create_typedarray(call.env, HostType(t.dtype), static_cast<size_t>(t.size()), buffer, 0, &array);
  return array;
}

napi_value CopyRowsCall(Call& call) {
  Tensor src = call.AnyTensor(0, "src"), dst = call.AnyTensor(2, "dst");
  int64_t src_row = call.Int(1, "srcRow", 0, int64_t{1} << 40), dst_row = call.Int(3, "dstRow", 0, int64_t{1} << 40);
  int64_t count = call.Int(4, "count", 0, int64_t{1} << 40);
  auto width = [](const Tensor& t) {
    int64_t n = 1;
    for (int i = 1; i < t.rank; i++) n *= t.dims[i];
    return n;
  };
  if (width(src) != width(dst)) call.Refuse("dst", "rows of " + std::to_string(width(src)) + " values", Describe(dst));
  if (src_row > src.dims[0] - count) call.Refuse("srcRow", "rows inside " + Describe(src), std::to_string(src_row) + " + " + std::to_string(count));
  if (dst_row > dst.dims[0] - count) call.Refuse("dstRow", "rows inside " + Describe(dst), std::to_string(dst_row) + " + " + std::to_string(count));
  int64_t w = width(src);
  call.Check(CopyValues(call.runtime.context, {.src = src.data + static_cast<size_t>(src_row * w) * SizeOf(src.dtype),
                                               .src_type = src.dtype,
                                               .dst = dst.data + static_cast<size_t>(dst_row * w) * SizeOf(dst.dtype),
                                               .dst_type = dst.dtype,
                                               .count = count * w}));
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
            {"keep", Keep},
            {"upload", Upload},
            {"download", Download},
            {"copyRows", CopyRowsCall}});
}

}  // namespace winnow
