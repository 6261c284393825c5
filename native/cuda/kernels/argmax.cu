#include "winnow_cuda/argmax.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 1024, kLoads = 8;

struct ArgmaxArgs {
  WnArgmaxParams p;
  bool has_quads;
};

/// Value and inverted index in one word: its maximum is the greatest value with the lowest index.
WN_DEVICE uint64_t warp_max(uint64_t value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const uint64_t other = __shfl_xor_sync(~0u, value, step);
    value = other > value ? other : value;
  }
  return value;
}

__global__ void __launch_bounds__(kThreads) argmax_kernel(const __grid_constant__ ArgmaxArgs args) {
  const WnArgmaxParams& p = args.p;
  let_successor_start();
  wait_for_predecessor();
  __shared__ uint64_t bests[kThreads / 32];
  const float* row = p.logits + blockIdx.x * p.row_stride;
  // Indices of a thread ascend, so the first of equals is the lowest; NaN is above nothing.
  float most = -INFINITY;
  int place = -1;
  const auto take = [&](float x, int i) {
    if (x > most || (x == most && place < 0)) most = x, place = i;
  };
  // One block reads a whole vocabulary: many loads of a thread must be under way at once.
  const int quads = args.has_quads ? p.width / 4 : 0;
  for (int first = threadIdx.x; first < quads; first += kLoads * kThreads) {
    float4 x[kLoads];  // beyond the end the last quad, again
#pragma unroll
    for (int j = 0; j < kLoads; j++) x[j] = reinterpret_cast<const float4*>(row)[min(first + j * kThreads, quads - 1)];
#pragma unroll
    for (int j = 0; j < kLoads; j++) {
      const int i = 4 * min(first + j * kThreads, quads - 1);
      take(x[j].x, i);
      take(x[j].y, i + 1);
      take(x[j].z, i + 2);
      take(x[j].w, i + 3);
    }
  }
  for (int i = 4 * quads + threadIdx.x; i < p.width; i += kThreads) take(row[i], i);
  // A thread that saw NaN alone offers it, the lowest of keys, at its first index.
  const uint64_t key = place < 0 ? 0 : radix_key(__float_as_uint(most));
  const uint64_t best = warp_max(key << 32 | (0xffffffffu - static_cast<uint32_t>(place < 0 ? threadIdx.x : place)));
  if (threadIdx.x % 32 == 0) bests[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  const uint64_t last = warp_max(bests[threadIdx.x]);
  if (threadIdx.x == 0) p.index[blockIdx.x] = static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(last));
}

}  // namespace
}  // namespace winnow

WnStatus wn_argmax(const WnArgmaxParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "argmax: params is null");
  const WnArgmaxParams& p = *params;
  WN_REQUIRE(p.logits && p.index, "argmax: a required pointer is null");
  WN_REQUIRE(p.num_rows > 0 && p.width > 0 && p.row_stride >= p.width, "argmax: counts or stride");
  const ArgmaxArgs args{p, aligned(p.logits, 16) && p.row_stride % 4 == 0};
  return cuda_status(
      launch_early(argmax_kernel, dim3(static_cast<unsigned>(p.num_rows)), dim3(kThreads), 0, static_cast<cudaStream_t>(stream), args), "argmax");
}
