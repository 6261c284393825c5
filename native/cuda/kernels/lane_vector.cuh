/// Vectors of up to 256 channels spread over the lanes of a warp.
#ifndef WINNOW_CUDA_LANE_VECTOR_CUH
#define WINNOW_CUDA_LANE_VECTOR_CUH

#include "score_lists.cuh"

namespace winnow {

constexpr int kMaxLaneDim = 256;

/// Channel lane + 32 i in element i, 0 beyond the end. No load and no loop depends on a lane: addresses are clamped.
struct LaneVector {
  float x[kMaxLaneDim / 32];

  WN_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++) x[i] = 0;
  }
  WN_DEVICE void load(const __nv_bfloat16* row, int dim) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++) {
      const float value = 32 * i < dim ? __bfloat162float(row[min(lane + 32 * i, dim - 1)]) : 0.0f;
      x[i] = lane + 32 * i < dim ? value : 0.0f;
    }
  }
  WN_DEVICE void add(const LaneVector& other, float factor) {
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++) x[i] = fmaf(factor, other.x[i], x[i]);
  }
  WN_DEVICE void scale(float factor) {
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++) x[i] *= factor;
  }
  WN_DEVICE float squares() const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++) sum = fmaf(x[i], x[i], sum);
    return warp_sum(sum);
  }
  WN_DEVICE void store(float* out, int dim) const {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++)
      if (lane + 32 * i < dim) out[lane + 32 * i] = x[i];
  }
  WN_DEVICE void store(__nv_bfloat16* out, int dim) const {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < kMaxLaneDim / 32; i++)
      if (lane + 32 * i < dim) out[lane + 32 * i] = __float2bfloat16_rn(x[i]);
  }
};

}  // namespace winnow

#endif
