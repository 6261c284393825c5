#include "../binding/backend.h"
#include "host_op.h"

/// For the benchmark of the host's own work.
namespace winnow {

bool leaves_out_ops = false;

namespace gpu {

namespace {

napi_value LeaveOutOps(Call& call) {
  leaves_out_ops = call.Flag(0, "on");
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"leaveOutOps", LeaveOutOps}});
});

}  // namespace

}  // namespace gpu

}  // namespace winnow
