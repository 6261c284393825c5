#pragma once

#include "call.h"

/// What upload, download and copyRows are asked to do, read and checked; the moving itself is each backend's own.
namespace winnow {

struct UploadRequest {
  Tensor to;
  const void* data;
  int64_t count;
  /// f32 values that become bf16, to nearest even; else the bytes go in as they are.
  bool rounds;
};
UploadRequest ReadUpload(Call& call);

/// A new typed array for the values of `t` (bf16 as f32); `data` gets its elements.
napi_value NewHostArray(Call& call, const Tensor& t, void** data);

struct CopyRequest {
  const std::byte* source;
  std::byte* target;
  DType source_type, target_type;
  int64_t count;  ///< values
};
CopyRequest ReadCopyRows(Call& call);

}  // namespace winnow
