#ifndef WINNOW_CUDA_GROUP_MEANS_H
#define WINNOW_CUDA_GROUP_MEANS_H

#include "cache_view.h"

typedef struct WnGroupMeansParams {
  WnCacheView cache;
  const int32_t* assignment;
  float* means;
  int32_t groups;
  int32_t max_len;  ///< host: at least every kv_len
  int32_t what;     ///< 0 keys, 1 values
} WnGroupMeansParams;

/// Mean key or value of each group of a head's slots; a group without members is 0.
///
/// Shapes    assignment  [rows, num_kv_heads, max_len]  int32, a group; others, such as -1, are in none
///           means       [rows, num_kv_heads, groups, head_dim]  f32
/// Limits    1 <= groups <= 65536
/// Error     relative RMS against the fp64 reference <= 1e-6; sums in slot order, bitwise repeatable
/// Cost      one read of the slots, and of the assignment by every group; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_group_means(const WnGroupMeansParams* params, void* stream);

#endif
