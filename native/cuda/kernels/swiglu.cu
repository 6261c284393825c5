#include "winnow_cuda/swiglu.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256;

struct SwigluArgs {
  WnSwigluParams p;
};

WN_DEVICE float gated(float gate, float up) { return gate / (1 + exp2_fast(-gate * kLog2e)) * up; }
WN_DEVICE uint32_t gated_pair(uint32_t gate, uint32_t up) {
  return pack_bf16(gated(low_bf16(gate), low_bf16(up)), gated(high_bf16(gate), high_bf16(up)));
}

__global__ void __launch_bounds__(kThreads) swiglu_kernel(const __grid_constant__ SwigluArgs args) {
  const WnSwigluParams& p = args.p;
  const int words = p.width / 8;
  const int64_t total = p.num_rows * words;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t row = i / words, word = i % words;
    const uint4 gate = static_cast<const uint4*>(p.gate)[row * (p.gate_stride / 8) + word];
    const uint4 up = static_cast<const uint4*>(p.up)[row * (p.up_stride / 8) + word];
    const uint4 out = {gated_pair(gate.x, up.x), gated_pair(gate.y, up.y), gated_pair(gate.z, up.z),
                       gated_pair(gate.w, up.w)};
    static_cast<uint4*>(p.out)[row * (p.out_stride / 8) + word] = out;
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_swiglu(const WnSwigluParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "swiglu: params is null");
  const WnSwigluParams& p = *params;
  WN_REQUIRE(p.gate && p.up && p.out, "swiglu: a required pointer is null");
  WN_REQUIRE(aligned(p.gate, 16) && aligned(p.up, 16) && aligned(p.out, 16), "swiglu: misaligned pointer");
  WN_REQUIRE(p.num_rows > 0 && p.width > 0 && p.width % 8 == 0, "swiglu: counts");
  WN_REQUIRE(p.gate_stride % 8 == 0 && p.up_stride % 8 == 0 && p.out_stride % 8 == 0, "swiglu: strides");
  const int64_t blocks = ceil_div(p.num_rows * (p.width / 8), kThreads);
  swiglu_kernel<<<static_cast<unsigned>(blocks < 8192 ? blocks : 8192), kThreads, 0,
                  static_cast<cudaStream_t>(stream)>>>(SwigluArgs{p});
  return launch_status("swiglu");
}
