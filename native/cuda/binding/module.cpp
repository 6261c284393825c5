#include <dlfcn.h>

#include "backend.h"

namespace winnow {

namespace gpu {

namespace {

/// Every op of the Addon that a backend may lack; the functions of tensors, facts and replay are always there.
constexpr const char* kOps[] = {
    "packWeight", "packVector", "freeWeight", "weightShape", "embed", "rmsNorm", "rmsNormAdd", "softCap", "linear", "linearGated",
    "gatedActivation", "ropeAppend", "argmax", "cacheLayout", "cacheCreate", "cacheFork", "cacheFree", "cacheLens", "cacheKeep",
    "cacheKeepRows", "cacheDropLast", "cacheRelease", "cachePositions", "cacheRead", "cacheAppend", "cacheMerge", "cacheRotate",
    "cacheKeepChannels", "cacheQuantise", "cacheBytes", "cacheReadBytes", "cacheHash", "cachePoison", "poisonFreedPages",
    "attendPrefill", "attendDecode", "attendSets", "mergeLse", "scaleRows", "mixParts", "chooseRows", "columnStats",
    "finishColumnStats", "windowScores", "slotNorms", "blockSummary", "blockScores", "randomScores", "topK", "axpby", "reduceHeads",
    "channelScores", "planeScores", "projectSlots", "projectQueries", "pairwiseCosine", "kMeans", "groupMeans", "softmaxLists",
    "entropyLists", "argmaxLists", "topP", "takeLists", "complementLists", "readEntries", "maskLists", "addToRows", "writeEntries",
    "quantiseRoundTrip", "copyRows"};

/// Of the host's own: other programs measure a device and check its operations.
napi_value Elsewhere(Call& call) {
  call.Check(Status::Fail(Code::kUnsupported, call.name, "an op of the cpu backend", "the cuda backend",
                          "winnow_cuda_bench measures a device, winnow_cuda_test checks its operations: see docs/gpu.md. Or use --backend cpu."));
  return call.Nothing();
}

napi_value Missing(Call& call) {
  call.Check(Status::Fail(Code::kUnsupported, call.name, "an op of the cuda backend", "none of this name yet",
                          "Use --backend cpu, or a method that does without it."));
  return call.Nothing();
}

void RegisterMissing(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"benchPeak", Elsewhere}, {"benchReadBandwidth", Elsewhere}, {"parity", Elsewhere}});
  for (const char* op : kOps) {
    bool known = false;
    napi_has_named_property(env, exports, op, &known);
    if (!known) Register(env, exports, runtime, {{op, Missing}});
  }
}

/// Pool threads and the CUDA runtime outlive the environment that started them, and Node unloads addons of a worker when it
/// ends: keep the code mapped.
void StayLoaded() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &info) != 0) dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

napi_value Init(napi_env env, napi_value exports) {
  StayLoaded();
  std::shared_ptr<Device> device;
  if (Status status = OpenDevice(&device); !status.ok()) {
    // The loader turns `noDevice` into a WinnowError: no error class is known yet.
    napi_value reason;
    napi_create_string_utf8(env, status.failure()->actual.c_str(), NAPI_AUTO_LENGTH, &reason);
    napi_set_named_property(env, exports, "noDevice", reason);
    return exports;
  }
  auto* backend = new Backend(std::move(device));
  napi_set_instance_data(env, backend, [](napi_env, void* data, void*) { delete static_cast<Backend*>(data); }, nullptr);
  init_tensors(env, exports, *backend);
  for (Binding::Init init : Binding::All()) init(env, exports, *backend);
  RegisterMissing(env, exports, *backend);
  init_replay(env, exports, *backend);
  return exports;
}

}  // namespace

std::vector<Binding::Init>& Binding::All() {
  static std::vector<Init> all;
  return all;
}

}  // namespace gpu
}  // namespace winnow

NAPI_MODULE_INIT() { return winnow::gpu::Init(env, exports); }
