/// Means of the slots of a group, by one warp, in slot order.
#ifndef WINNOW_CUDA_GROUP_SUMS_CUH
#define WINNOW_CUDA_GROUP_SUMS_CUH

#include "score_lists.cuh"

namespace winnow {

constexpr int kMaxGroupDim = 256;

/// Channel lane + 32 i of a vector in element i, 0 beyond its end. No load and no loop depends on a lane: addresses are clamped.
struct LaneVector {
  float x[kMaxGroupDim / 32];

  WN_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < kMaxGroupDim / 32; i++) x[i] = 0;
  }
  WN_DEVICE void add(const __nv_bfloat16* row, int dim) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < kMaxGroupDim / 32; i++)
      if (32 * i < dim) x[i] += __bfloat162float(row[min(lane + 32 * i, dim - 1)]);
  }
  WN_DEVICE void drop_beyond(int dim) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < kMaxGroupDim / 32; i++) x[i] = lane + 32 * i < dim ? x[i] : 0.0f;
  }
  WN_DEVICE float squares() const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kMaxGroupDim / 32; i++) sum = fmaf(x[i], x[i], sum);
    return warp_sum(sum);
  }
  WN_DEVICE void store(float* out, int dim) const {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < kMaxGroupDim / 32; i++)
      if (lane + 32 * i < dim) out[lane + 32 * i] = x[i];
  }
};

/// The mean of slots [0, len) of a list that `assignment` gives to `group`; returns how many there are, and 0 with a mean of 0.
WN_DEVICE int group_mean(const WnCacheView& cache, int64_t list, int what, const int32_t* assignment, int len, int group, LaneVector* mean) {
  const int lane = threadIdx.x & 31;
  mean->clear();
  int size = 0;
  for (int base = 0; base < len; base += 32) {
    const int own = assignment[min(base + lane, len - 1)];
    unsigned members = __ballot_sync(~0u, own == group && base + lane < len);
    size += __popc(members);
    while (members != 0) {
      const int next = base + __ffs(static_cast<int>(members)) - 1;
      members &= members - 1;
      mean->add(arena_row(cache, arena_slot(cache, list, next), what), cache.head_dim);
    }
  }
  mean->drop_beyond(cache.head_dim);
  const float share = size > 0 ? 1.0f / static_cast<float>(size) : 0.0f;
#pragma unroll
  for (int i = 0; i < kMaxGroupDim / 32; i++) mean->x[i] *= share;
  return size;
}

}  // namespace winnow

#endif
