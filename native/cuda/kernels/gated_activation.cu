#include "winnow_cuda/gated_activation.h"

#include "element.cuh"

namespace winnow {
namespace {

struct GatedArgs {
  WnGatedActivationParams p;
};

/// Two neighbouring results a thread: one word of bf16 each of gate, up and out.
__global__ void __launch_bounds__(256) gated_activation_kernel(const __grid_constant__ GatedArgs args) {
  const WnGatedActivationParams& p = args.p;
  const int64_t pairs = p.num_rows * p.width / 2, step = static_cast<int64_t>(gridDim.x) * 256;
  const bool is_gelu = p.gate == WN_GATE_GELU_TANH;
  for (int64_t i = blockIdx.x * 256LL + threadIdx.x; i < pairs; i += step) {
    const int64_t row = 2 * i / p.width;
    const int column = static_cast<int>(2 * i % p.width);
    const int64_t gate = row * 2 * p.width + (p.is_woven ? column / WN_GATE_WEAVE * 2 * WN_GATE_WEAVE + column % WN_GATE_WEAVE : column);
    const int64_t up = gate + (p.is_woven ? int64_t{WN_GATE_WEAVE} : p.width);
    float2 g, u;
    if (p.in_type == WN_BF16) {
      const auto* words = static_cast<const uint32_t*>(p.gate_up);
      g = {low_bf16(words[gate / 2]), high_bf16(words[gate / 2])};
      u = {low_bf16(words[up / 2]), high_bf16(words[up / 2])};
    } else {
      g = static_cast<const float2*>(p.gate_up)[gate / 2];
      u = static_cast<const float2*>(p.gate_up)[up / 2];
    }
    const float2 y = {gated(g.x, u.x, is_gelu), gated(g.y, u.y, is_gelu)};
    if (p.out_type == WN_BF16)
      static_cast<uint32_t*>(p.out)[i] = pack_bf16(y.x, y.y);
    else
      static_cast<float2*>(p.out)[i] = y;
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_gated_activation(const WnGatedActivationParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "gated_activation: params is null");
  const WnGatedActivationParams& p = *params;
  WN_REQUIRE(p.gate_up && p.out && aligned(p.gate_up, 8) && aligned(p.out, 8), "gated_activation: null or misaligned pointer");
  WN_REQUIRE(p.num_rows >= 0 && p.width > 0 && p.width % 2 == 0, "gated_activation: counts");
  WN_REQUIRE(!p.is_woven || p.width % WN_GATE_WEAVE == 0, "gated_activation: a woven width is a multiple of 32");
  WN_REQUIRE(p.gate == WN_GATE_SILU || p.gate == WN_GATE_GELU_TANH, "gated_activation: unknown gate");
  WN_REQUIRE(is_float_type(p.in_type) && is_float_type(p.out_type), "gated_activation: type not f32 or bf16");
  if (p.num_rows == 0) return ok();
  gated_activation_kernel<<<grid_for(p.num_rows * p.width / 2), 256, 0, static_cast<cudaStream_t>(stream)>>>(GatedArgs{p});
  return launch_status("gated_activation");
}
