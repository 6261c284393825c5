#include "../../binding/transfers.h"

#include <algorithm>

#include "../../kernels/numerics.h"
#include "backend.h"
#include "winnow_cuda/elementwise.h"

namespace winnow {

namespace {

napi_value Upload(Call& call) {
  const UploadRequest request = ReadUpload(call);
  gpu::KnownValues& known = gpu::EngineOf(call).known;
  known.Forget(request.to);
  if (request.to.dtype == DType::kI32) {
    auto* values = static_cast<const int32_t*>(request.data);
    known.Remember(request.to, gpu::Known::kValues, {.first = {values, values + request.count}});
  }
  if (request.count == 0) return call.Nothing();
  gpu::Device& device = gpu::DeviceOf(call);
  if (!request.rounds) {
    call.Check(device.CopyUp(request.to.data, request.data, request.to.bytes()));
    return call.Nothing();
  }
  std::vector<Bf16> rounded(static_cast<size_t>(request.count));
  auto* source = static_cast<const float*>(request.data);
  for (int64_t i = 0; i < request.count; i++) rounded[static_cast<size_t>(i)] = ToBf16(source[i]);
  call.Check(device.CopyUp(request.to.data, rounded.data(), rounded.size() * 2));
  return call.Nothing();
}

/// Of the dtypes and ranks that the engine asks for; zero-filled tensors are made by native/binding/tensors.cpp.
napi_value EmptyTensor(Call& call) {
  const std::string name = call.String(0, "dtype");
  if (name != "f32" && name != "i32") call.Refuse("dtype", "f32 or i32", name);
  const Span<const int32_t> shape = call.Ints(1, "shape");
  if (shape.size < 1 || shape.size > 3) call.Refuse("shape", "1 to 3 dimensions", std::to_string(shape.size));
  int64_t dims[3];
  std::copy(shape.data, shape.data + shape.size, dims);
  Tensor out;
  return call.Value(gpu::NewResult(call, name == "f32" ? DType::kF32 : DType::kI32, dims, static_cast<int>(shape.size), &out));
}

napi_value Download(Call& call) {
  const Tensor t = call.AnyTensor(0, "t");
  void* data = nullptr;
  const napi_value array = NewHostArray(call, t, &data);
  if (t.size() == 0) return array;
  if (const gpu::Fact* fact = t.dtype == DType::kI32 ? gpu::EngineOf(call).known.Find(t, gpu::Known::kValues) : nullptr) {
    std::copy(fact->first.begin(), fact->first.end(), static_cast<int32_t*>(data));
    return array;
  }
  call.Check(gpu::DeviceOf(call).CopyDown(data, t.data, t.bytes()));
  if (t.dtype != DType::kBf16) return array;
  // In place from the back: a value of two bytes never lies behind the four it becomes.
  for (int64_t i = t.size() - 1; i >= 0; i--) static_cast<float*>(data)[i] = FromBf16(static_cast<Bf16*>(data)[i]);
  return array;
}

napi_value CopyRowsCall(Call& call) {
  const CopyRequest request = ReadCopyRows(call);
  gpu::EngineOf(call).known.Forget(call.AnyTensor(2, "dst"));
  if (request.count == 0) return call.Nothing();
  if (request.source_type != request.target_type) {
    const auto type = [&](DType dtype, const char* what) {
      if (dtype != DType::kF32 && dtype != DType::kBf16) call.Refuse(what, "f32 or bf16, or one dtype for both", NameOf(dtype));
      return dtype == DType::kF32 ? WN_F32 : WN_BF16;
    };
    const WnElementwiseParams params{.x = request.source,
                                     .out = request.target,
                                     .count = request.count,
                                     .op = WN_ELEMENT_COPY,
                                     .x_type = type(request.source_type, "src"),
                                     .out_type = type(request.target_type, "dst")};
    gpu::IssueOfStep<wn_elementwise>(call, params);
    return call.Nothing();
  }
  call.Check(gpu::DeviceOf(call).CopyAcross(request.target, request.source,
                                            static_cast<size_t>(request.count) * SizeOf(request.source_type)));
  return call.Nothing();
}

}  // namespace

void RegisterTransfers(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"upload", Upload}, {"emptyTensor", EmptyTensor}, {"download", Download}, {"copyRows", CopyRowsCall}});
}

}  // namespace winnow
