#include "winnow_cuda/rms_norm.h"

#include "element.cuh"

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
  let_successor_start();
  wait_for_predecessor();
  __shared__ float sums[kThreads / 32];
  const int64_t offset = static_cast<int64_t>(blockIdx.x) * p.width;
  const float* x = p.x + offset;
  float sum = 0;
  for (int i = threadIdx.x; i < p.width; i += kThreads) sum += x[i] * x[i];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int warp = 0; warp < kThreads / 32; warp++) total += sums[warp];
  const float factor = rsqrtf(total / static_cast<float>(p.width) + p.epsilon);
  for (int i = threadIdx.x; i < p.width; i += kThreads) {
    const float y = x[i] * factor * (p.gain[i] + p.gain_offset);
    if (p.accumulate)
      static_cast<float*>(p.out)[offset + i] += y;
    else
      store_element(p.out, offset + i, p.out_type, y);
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_rms_norm(const WnRmsNormParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "rms_norm: params is null");
  const WnRmsNormParams& p = *params;
  WN_REQUIRE(p.x && p.gain && p.out, "rms_norm: a required pointer is null");
  WN_REQUIRE(p.num_rows >= 0 && p.num_rows < (1LL << 31) && p.width > 0, "rms_norm: counts");
  WN_REQUIRE(is_float_type(p.out_type) && (!p.accumulate || p.out_type == WN_F32), "rms_norm: out_type");
  if (p.num_rows == 0) return ok();
  const RmsNormArgs args{p};
  return cuda_status(
      launch_early(rms_norm_kernel, dim3(static_cast<unsigned>(p.num_rows)), dim3(kThreads), 0, static_cast<cudaStream_t>(stream), args),
      "rms_norm");
}
