#include <dlfcn.h>

#include "call.h"

namespace winnow {

namespace {

/// Pool threads outlive the environment that started them, and Node unloads addons of a worker when it ends:
/// keep the code mapped.
void StayLoaded() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &info) != 0) dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

napi_value Init(napi_env env, napi_value exports) {
  StayLoaded();
  auto* runtime = new Runtime();
  napi_set_instance_data(env, runtime, [](napi_env, void* data, void*) { delete static_cast<Runtime*>(data); }, nullptr);
  init_facts(env, exports, *runtime);
  init_tensors(env, exports, *runtime);
  init_dense(env, exports, *runtime);
  init_cache(env, exports, *runtime);
  init_attention(env, exports, *runtime);
  init_scores(env, exports, *runtime);
  init_replay(env, exports, *runtime);
  return exports;
}

}  // namespace
}  // namespace winnow

NAPI_MODULE_INIT() { return winnow::Init(env, exports); }
