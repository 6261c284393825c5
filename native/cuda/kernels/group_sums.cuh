/// Means of the slots of a group, by one warp, in slot order.
#ifndef WINNOW_CUDA_GROUP_SUMS_CUH
#define WINNOW_CUDA_GROUP_SUMS_CUH

#include "lane_vector.cuh"

namespace winnow {

/// The mean of slots [0, len) of a list that `assignment` gives to `group`; returns how many there are, and 0 with a mean of 0.
WN_DEVICE int group_mean(const WnCacheView& cache, int64_t list, int what, const int32_t* assignment, int len, int group, LaneVector* mean) {
  const int lane = threadIdx.x & 31;
  LaneVector row;
  mean->clear();
  int size = 0;
  for (int base = 0; base < len; base += 32) {
    const int own = assignment[min(base + lane, len - 1)];
    unsigned members = __ballot_sync(~0u, own == group && base + lane < len);
    size += __popc(members);
    while (members != 0) {
      const int next = base + __ffs(static_cast<int>(members)) - 1;
      members &= members - 1;
      row.load(arena_row(cache, arena_slot(cache, list, next), what), cache.head_dim);
      mean->add(row, 1);
    }
  }
  if (size > 0) mean->scale(1.0f / static_cast<float>(size));
  return size;
}

}  // namespace winnow

#endif
