#include "winnow_cuda/random_normal.h"

#include "device.cuh"
#include "random_normal_value.h"

namespace winnow {
namespace {

constexpr int kThreads = 256, kPerThread = 8;

__global__ void __launch_bounds__(kThreads) random_normal_kernel(const __grid_constant__ WnRandomNormalParams p) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kPerThread;
  auto* out = static_cast<__nv_bfloat16*>(p.out);
  if (first + kPerThread <= p.count) {
    uint4 words;
    uint32_t* word = &words.x;
#pragma unroll
    for (int i = 0; i < kPerThread / 2; i++) {
      word[i] = pack_bf16(random_normal_value(p.seed, first + 2 * i, p.deviation),
                          random_normal_value(p.seed, first + 2 * i + 1, p.deviation));
    }
    *reinterpret_cast<uint4*>(out + first) = words;
    return;
  }
  for (int64_t i = first; i < p.count; i++) out[i] = __float2bfloat16_rn(random_normal_value(p.seed, i, p.deviation));
}

}  // namespace
}  // namespace winnow

extern "C" WnStatus wn_random_normal(const WnRandomNormalParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params != nullptr && params->out != nullptr, "random_normal: a required pointer is null");
  WN_REQUIRE(params->count >= 1 && aligned(params->out, 16), "random_normal: count or alignment");
  const int64_t blocks = ceil_div(params->count, int64_t{kThreads} * kPerThread);
  random_normal_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(*params);
  return launch_status("random_normal");
}
