#ifndef WINNOW_CUDA_BLOCK_SCAN_CUH
#define WINNOW_CUDA_BLOCK_SCAN_CUH

#include <type_traits>

#include "device.cuh"

namespace winnow {

/// Sum over the block of a number of each thread, and the sum over those before it. Every thread of the block calls it; of_warp
/// is shared, one a warp. Begins and ends with a barrier.
template <int kThreads, typename T>
WN_DEVICE T block_scan(std::type_identity_t<T> value, T* of_warp, T* total) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const T sum = warp_scan<T>(value);
  __syncthreads();
  if (lane == 31) of_warp[warp] = sum;
  __syncthreads();
  T ahead = 0, all = 0;
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
