#include "winnow_cuda/rope.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256;

struct RopeArgs {
  WnRopeParams p;
};

__global__ void __launch_bounds__(kThreads) rope_kernel(const __grid_constant__ RopeArgs args) {
  const WnRopeParams& p = args.p;
  const int half = p.rotary_dim / 2;
  const int64_t token = blockIdx.x;
  const int position = p.positions[token], distance = position < 0 ? -position : position;
  const float* cosine = p.cos_table + static_cast<int64_t>(distance) * half;
  const float* sine = p.sin_table + static_cast<int64_t>(distance) * half;
  auto* x = static_cast<__nv_bfloat16*>(p.x) + token * p.token_stride;
  for (int i = threadIdx.x; i < p.num_heads * half; i += kThreads) {
    const int head = i / half, pair = i % half;
    __nv_bfloat16* low = x + head * p.head_dim + pair;
    const float a = __bfloat162float(low[0]), b = __bfloat162float(low[half]);
    const float c = cosine[pair], s = position < 0 ? -sine[pair] : sine[pair];
    low[0] = __float2bfloat16(a * c - b * s);
    low[half] = __float2bfloat16(b * c + a * s);
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_rope(const WnRopeParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "rope: params is null");
  const WnRopeParams& p = *params;
  WN_REQUIRE(p.x && p.positions && p.cos_table && p.sin_table, "rope: a required pointer is null");
  WN_REQUIRE(p.num_tokens > 0 && p.num_heads > 0, "rope: counts must be positive");
  WN_REQUIRE(p.rotary_dim > 0 && p.rotary_dim % 2 == 0 && p.rotary_dim <= p.head_dim, "rope: rotary_dim");
  rope_kernel<<<p.num_tokens, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(RopeArgs{p});
  return launch_status("rope");
}
