#pragma once

#include <utility>
#include <vector>

#include "../../binding/call.h"
#include "../engine/engine.h"

/// How a binding file of the CUDA backend joins the addon: it defines its functions as the CPU's files do (native/binding)
/// and one static Binding; no list of files is kept.
///
///   napi_value ArgmaxCall(Call& call) {
///     const Tensor logits = call.TensorOf(0, "logits", DType::kF32, {-1, -1});       // .data is a device pointer
///     const Tensor out = call.TensorOf(1, "out", DType::kI32, {logits.dim(0)});
///     const WnArgmaxParams params{...};
///     Issue(call, wn_argmax(&params, StreamOf(call)));
///     return call.Nothing();
///   }
///   const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
///     Register(env, exports, runtime, {{"argmax", ArgmaxCall}});
///   });
///
/// An op of the Addon that no file registers throws ERR_UNSUPPORTED and names itself.
namespace winnow::gpu {

/// The environment's runtime, with an engine behind it. Tensors live on the device.
struct Backend : Runtime {
  explicit Backend(std::shared_ptr<Device> device) : Runtime(device), engine(std::move(device)) {
    context.isa = Isa::kAvx512Bf16;  // a set with bf16 products: act() is bf16
  }
  Engine engine;
};

inline Engine& EngineOf(const Call& call) { return static_cast<Backend&>(call.runtime).engine; }
inline Device& DeviceOf(const Call& call) { return *EngineOf(call).device; }
inline void* StreamOf(const Call& call) { return DeviceOf(call).stream(); }
/// Throws what a wn_* op refused.
inline void Issue(const Call& call, const WnStatus& status) {
  call.Check(DeviceOf(call).TakeFailure());
  call.Check(FromWn(status, call.name));
}
/// Issues an op that may be part of a decode step: by `replay` it is noted with its neighbours, alone it goes at once. Its
/// arguments lie in memory that lives on, so nothing staged for this call.
template <auto kOp, class Params>
void IssueOfStep(const Call& call, const Params& params, int64_t weight_bytes = 0) {
  if (call.numbers == nullptr) return Issue(call, kOp(&params, StreamOf(call)));
  call.Check(DeviceOf(call).Do<kOp>(call.name, params, weight_bytes));
}
/// Host values on the device for the op issued next.
template <class T>
const T* StageFor(const Call& call, const T* host, size_t count) {
  const T* staged = DeviceOf(call).Stage(host, count);
  if (staged == nullptr) {
    call.Check(Status::Fail(Code::kOutOfMemory, call.name, "room for " + std::to_string(count * sizeof(T)) + " bytes of arguments", "none"));
  }
  return staged;
}
const DeviceWeight& WeightOf(const Call& call, int i, const char* what);
inline std::byte* WorkspaceOf(const Call& call, size_t bytes) {
  std::byte* data = nullptr;
  call.Check(EngineOf(call).Workspace(call.name, bytes, &data));
  return data;
}

/// A new tensor that the op writes whole: what it holds until then is anything.
inline TensorId NewResult(const Call& call, DType dtype, const int64_t* dims, int num_dims, Tensor* out) {
  TensorId id = 0;
  DeviceOf(call).set_zeroes_blocks(false);
  Status status = call.runtime.tensors.Make(dtype, dims, num_dims, &id);
  DeviceOf(call).set_zeroes_blocks(true);
  call.Check(std::move(status));
  const Tensor* made = nullptr;
  call.Check(call.runtime.tensors.Get(id, call.name, &made));
  *out = *made;
  return id;
}
inline TensorId NewResult(const Call& call, DType dtype, std::initializer_list<int64_t> dims, Tensor* out) {
  return NewResult(call, dtype, dims.begin(), static_cast<int>(dims.size()), out);
}

class Binding {
 public:
  using Init = void (*)(napi_env env, napi_value exports, Runtime& runtime);
  explicit Binding(Init init) { All().push_back(init); }
  static std::vector<Init>& All();
};

}  // namespace winnow::gpu
