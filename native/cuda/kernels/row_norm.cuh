/// The RMS norm of one row by one block of 256 threads, in registers: one arithmetic for whoever norms a row, so that a norm
/// of its own and one inside a product give the same bits.
#ifndef WINNOW_CUDA_ROW_NORM_CUH
#define WINNOW_CUDA_ROW_NORM_CUH

#include "device.cuh"

namespace winnow {

constexpr int kNormThreads = 256;

constexpr int kNormWarps = kNormThreads / 32;

/// Sum over the block, in every thread, by way of shared memory.
WN_DEVICE float block_sum(float value, float (&sums)[kNormWarps]) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int warp = 0; warp < kNormWarps; warp++) total += sums[warp];
  return total;
}

/// Up to kQuads quads of the row a thread: quad threadIdx.x + 256 i. Gains and row are asked for separately: gains may be read
/// before the kernel ahead has ended, which behind the weights that others ask for would wait for the memory.
template <int kQuads>
struct RowNorm {
  float4 gain[kQuads], x[kQuads];

  WN_DEVICE static int place(int i) { return threadIdx.x + i * kNormThreads; }
  WN_DEVICE void load(float4 (&to)[kQuads], const float* from, int quads) {
#pragma unroll
    for (int i = 0; i < kQuads; i++) to[i] = place(i) < quads ? reinterpret_cast<const float4*>(from)[place(i)] : float4{0, 0, 0, 0};
  }
  WN_DEVICE float factor(int width, float epsilon, float (&sums)[kNormWarps]) const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kQuads; i++) sum = fmaf(x[i].x, x[i].x, fmaf(x[i].y, x[i].y, fmaf(x[i].z, x[i].z, fmaf(x[i].w, x[i].w, sum))));
    return rsqrtf(block_sum(sum, sums) / static_cast<float>(width) + epsilon);
  }
  WN_DEVICE float4 value(int i, float factor, float offset) const {
    return {x[i].x * factor * (gain[i].x + offset), x[i].y * factor * (gain[i].y + offset), x[i].z * factor * (gain[i].z + offset),
            x[i].w * factor * (gain[i].w + offset)};
  }
};
WN_DEVICE uint2 pack_quad(float4 y) { return {pack_bf16(y.x, y.y), pack_bf16(y.z, y.w)}; }

}  // namespace winnow

#endif
