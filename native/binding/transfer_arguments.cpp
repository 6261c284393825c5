#include "transfers.h"

namespace winnow {

namespace {

napi_typedarray_type HostType(DType dtype) {
  switch (dtype) {
    case DType::kI32: return napi_int32_array;
    case DType::kU8: return napi_uint8_array;
    default: return napi_float32_array;
  }
}

int64_t RowWidth(const Tensor& t) {
  int64_t n = 1;
  for (int i = 1; i < t.rank; i++) n *= t.dims[i];
  return n;
}

}  // namespace

UploadRequest ReadUpload(Call& call) {
  Tensor t = call.AnyTensor(0, "t");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (call.count < 2 ||
      napi_get_typedarray_info(call.env, call.arguments[1], &type, &length, &data, nullptr, nullptr) != napi_ok) {
    call.Refuse("data", "a typed array", "a value of another type");
  }
  const bool raw_bf16 = t.dtype == DType::kBf16 && type == napi_uint16_array;
  if (!raw_bf16 && type != HostType(t.dtype)) call.Refuse("data", "an array that holds " + Describe(t), "another element type");
  if (static_cast<int64_t>(length) != t.size()) {
    call.Refuse("data", std::to_string(t.size()) + " values for " + Describe(t), std::to_string(length));
  }
  const bool rounds = t.dtype == DType::kBf16 && !raw_bf16;
  return {std::move(t), data, static_cast<int64_t>(length), rounds};
}

napi_value NewHostArray(Call& call, const Tensor& t, void** data) {
  const size_t bytes = static_cast<size_t>(t.size()) * (t.dtype == DType::kU8 ? 1 : 4);
  napi_value buffer, array;
  if (napi_create_arraybuffer(call.env, bytes, data, &buffer) != napi_ok) throw std::bad_alloc();
  napi_create_typedarray(call.env, HostType(t.dtype), static_cast<size_t>(t.size()), buffer, 0, &array);
  return array;
}

CopyRequest ReadCopyRows(Call& call) {
  const Tensor src = call.AnyTensor(0, "src"), dst = call.AnyTensor(2, "dst");
  const int64_t src_row = call.Int(1, "srcRow", 0, int64_t{1} << 40), dst_row = call.Int(3, "dstRow", 0, int64_t{1} << 40);
  const int64_t count = call.Int(4, "count", 0, int64_t{1} << 40), width = RowWidth(src);
  auto refuse = [&](const char* what, const Tensor& t, int64_t row) {
    call.Refuse(what, "rows inside " + Describe(t), std::to_string(row) + " + " + std::to_string(count));
  };
  if (width != RowWidth(dst)) call.Refuse("dst", "rows of " + std::to_string(width) + " values", Describe(dst));
  if (src_row > src.dims[0] - count) refuse("srcRow", src, src_row);
  if (dst_row > dst.dims[0] - count) refuse("dstRow", dst, dst_row);
  return {.source = src.data + static_cast<size_t>(src_row * width) * SizeOf(src.dtype),
          .target = dst.data + static_cast<size_t>(dst_row * width) * SizeOf(dst.dtype),
          .source_type = src.dtype,
          .target_type = dst.dtype,
          .count = count * width};
}

}  // namespace winnow
