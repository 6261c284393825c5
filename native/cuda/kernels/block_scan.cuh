#ifndef WINNOW_CUDA_BLOCK_SCAN_CUH
#define WINNOW_CUDA_BLOCK_SCAN_CUH

#include "device.cuh"

namespace winnow {

/// Sum over the block of a number of each thread, and the sum over those before it. Every thread of the block calls it; of_warp
/// is shared, one a warp.
template <int kThreads>
WN_DEVICE int block_scan(int value, int32_t* of_warp, int* total) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int sum = value;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(~0u, sum, step);
    if (lane >= step) sum += other;
  }
  __syncthreads();
  if (lane == 31) of_warp[warp] = sum;
  __syncthreads();
  int ahead = 0, all = 0;
#pragma unroll
  for (int w = 0; w < kThreads / 32; w++) {
    if (w < warp) ahead += of_warp[w];
    all += of_warp[w];
  }
  *total = all;
  return ahead + sum - value;
}

}  // namespace winnow

#endif
