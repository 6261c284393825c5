#include "transfers.h"

#include <cstring>

#include "../kernels/copy_rows.h"
#include "../kernels/numerics.h"

namespace winnow {

namespace {

napi_value Upload(Call& call) {
  const UploadRequest request = ReadUpload(call);
  if (request.rounds) {
    auto* source = static_cast<const float*>(request.data);
    for (int64_t i = 0; i < request.count; i++) request.to.as<Bf16>()[i] = ToBf16(source[i]);
  } else if (request.count > 0) {
    std::memcpy(request.to.data, request.data, request.to.bytes());
  }
  return call.Nothing();
}

napi_value Download(Call& call) {
  const Tensor t = call.AnyTensor(0, "t");
  void* data = nullptr;
  const napi_value array = NewHostArray(call, t, &data);
  if (t.dtype == DType::kBf16) {
    for (int64_t i = 0; i < t.size(); i++) static_cast<float*>(data)[i] = FromBf16(t.as<Bf16>()[i]);
  } else if (t.size() > 0) {
    std::memcpy(data, t.data, t.bytes());
  }
  return array;
}

napi_value CopyRowsCall(Call& call) {
  const CopyRequest request = ReadCopyRows(call);
  call.Check(CopyValues(call.runtime.context, {.src = request.source,
                                               .src_type = request.source_type,
                                               .dst = request.target,
                                               .dst_type = request.target_type,
                                               .count = request.count}));
  return call.Nothing();
}

}  // namespace

void RegisterTransfers(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"upload", Upload}, {"download", Download}, {"copyRows", CopyRowsCall}});
}

}  // namespace winnow
