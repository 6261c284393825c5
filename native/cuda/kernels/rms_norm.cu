#include "winnow_cuda/rms_norm.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256;

struct RmsNormArgs {
  WnRmsNormParams p;
};

/// A block per row; the row is read a second time from the first-level cache rather than kept in registers, so that
/// any width works.
__global__ void __launch_bounds__(kThreads) rms_norm_kernel(const __grid_constant__ RmsNormArgs args) {
  const WnRmsNormParams& p = args.p;
  __shared__ float sums[kThreads / 32];
  const int64_t offset = static_cast<int64_t>(blockIdx.x) * p.width;
  const auto* x = reinterpret_cast<const uint32_t*>(static_cast<const __nv_bfloat16*>(p.x) + offset);
  auto* residual =
      p.residual ? reinterpret_cast<uint32_t*>(static_cast<__nv_bfloat16*>(p.residual) + offset) : nullptr;
  const auto* weight = static_cast<const uint32_t*>(p.weight);
  auto* out = reinterpret_cast<uint32_t*>(static_cast<__nv_bfloat16*>(p.out) + offset);
  const int words = p.width / 2;
  float sum = 0;
  for (int i = threadIdx.x; i < words; i += kThreads) {
    uint32_t word = x[i];
    if (residual) {
      const uint32_t other = residual[i];
      word = pack_bf16(low_bf16(word) + low_bf16(other), high_bf16(word) + high_bf16(other));
      residual[i] = word;
    }
    sum += low_bf16(word) * low_bf16(word) + high_bf16(word) * high_bf16(word);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int warp = 0; warp < kThreads / 32; warp++) total += sums[warp];
  const float factor = rsqrtf(total / static_cast<float>(p.width) + p.epsilon);
  for (int i = threadIdx.x; i < words; i += kThreads) {
    const uint32_t word = residual ? residual[i] : x[i], scale = weight[i];
    out[i] = pack_bf16(low_bf16(word) * factor * low_bf16(scale), high_bf16(word) * factor * high_bf16(scale));
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_rms_norm(const WnRmsNormParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "rms_norm: params is null");
  const WnRmsNormParams& p = *params;
  WN_REQUIRE(p.x && p.weight && p.out, "rms_norm: a required pointer is null");
  WN_REQUIRE(p.num_rows > 0 && p.num_rows < (1LL << 31) && p.width > 0 && p.width % 8 == 0, "rms_norm: counts");
  WN_REQUIRE(aligned(p.x, 16) && aligned(p.out, 16) && aligned(p.residual, 16) && aligned(p.weight, 16),
             "rms_norm: misaligned pointer");
  rms_norm_kernel<<<static_cast<unsigned>(p.num_rows), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      RmsNormArgs{p});
  return launch_status("rms_norm");
}
