#include "winnow_cuda/list_values.h"

#include "element.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

struct ListValuesArgs {
  WnListValuesParams p;
};

/// Combined over the block, in a fixed order; begins and ends with a barrier.
template <typename Combine>
WN_DEVICE float block_reduce(float value, float* warps, Combine combine) {
  value = warp_reduce(value, combine);
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  float result = warps[0];
#pragma unroll
  for (int w = 1; w < kWarps; w++) result = combine(result, warps[w]);
  return result;
}
WN_DEVICE float block_sum(float value, float* warps) {
  return block_reduce(value, warps, [](float a, float b) { return a + b; });
}

WN_DEVICE void softmax(const float* x, float* out, int length, float* warps) {
  float largest = -INFINITY, sum = 0;
  for (int i = threadIdx.x; i < length; i += kThreads) largest = fmaxf(largest, x[i]);
  largest = block_reduce(largest, warps, [](float a, float b) { return fmaxf(a, b); });
  if (largest > -INFINITY)
    for (int i = threadIdx.x; i < length; i += kThreads) sum += expf(x[i] - largest);
  sum = block_sum(sum, warps);
  for (int i = threadIdx.x; i < length; i += kThreads)
    out[i] = largest == -INFINITY || x[i] == -INFINITY ? x[i] : expf(x[i] - largest) / sum;
}

/// H = ln S - (sum x ln x) / S, S the sum of the weights; over the largest weight, so that nothing is lost at either end.
WN_DEVICE float entropy(const float* x, int length, float* warps) {
  float largest = 0, sum = 0, weighted = 0;
  for (int i = threadIdx.x; i < length; i += kThreads) largest = fmaxf(largest, x[i]);
  largest = block_reduce(largest, warps, [](float a, float b) { return fmaxf(a, b); });
  if (!(largest > 0)) return 0;
  for (int i = threadIdx.x; i < length; i += kThreads) {
    if (!(x[i] > 0)) continue;
    const float share = x[i] / largest;
    sum += share;
    weighted += share > 0 ? share * logf(share) : 0;
  }
  sum = block_sum(sum, warps);
  weighted = block_sum(weighted, warps);
  return fmaxf(0.0f, logf(sum) - weighted / sum);
}

__global__ void __launch_bounds__(kThreads) list_values_kernel(const __grid_constant__ ListValuesArgs args) {
  const WnListValuesParams& p = args.p;
  __shared__ float warps[kWarps];
  __shared__ unsigned long long best;
  const int64_t list = blockIdx.x;
  const float* x = p.x + list * p.length;
  if (p.op == WN_LIST_SOFTMAX) {
    softmax(x, static_cast<float*>(p.out) + list * p.length, p.length, warps);
  } else if (p.op == WN_LIST_ENTROPY) {
    const float value = entropy(x, p.length, warps);
    if (threadIdx.x == 0) static_cast<float*>(p.out)[list] = value;
  } else {
    if (threadIdx.x == 0) best = 0;
    __syncthreads();
    unsigned long long own = 0;
    for (int i = threadIdx.x; i < p.length; i += kThreads) {
      if (!(x[i] > -INFINITY)) continue;
      const auto word = static_cast<unsigned long long>(radix_key(__float_as_uint(x[i]))) << 32 | (0xffffffffu - i);
      own = word > own ? word : own;
    }
    atomicMax(&best, own);
    __syncthreads();
    if (threadIdx.x == 0)
      static_cast<int32_t*>(p.out)[list] = best == 0 ? -1 : static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(best));
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_list_values(const WnListValuesParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "list_values: params is null");
  const WnListValuesParams& p = *params;
  WN_REQUIRE(p.num_lists >= 0 && p.num_lists < (1LL << 31) && p.length >= 0, "list_values: counts");
  WN_REQUIRE(p.op >= WN_LIST_SOFTMAX && p.op <= WN_LIST_ARGMAX, "list_values: unknown op");
  if (p.num_lists == 0 || (p.length == 0 && p.op == WN_LIST_SOFTMAX)) return ok();
  WN_REQUIRE((p.x || p.length == 0) && p.out, "list_values: a required pointer is null");
  list_values_kernel<<<static_cast<unsigned>(p.num_lists), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(ListValuesArgs{p});
  return launch_status("list_values");
}
