#ifndef WINNOW_CUDA_RANDOM_NORMAL_H
#define WINNOW_CUDA_RANDOM_NORMAL_H

#include "status.h"

typedef struct WnRandomNormalParams {
  void* out;
  int64_t count;
  uint32_t seed;
  float deviation;
} WnRandomNormalParams;

/// out[i] = deviation * z(seed, i), z near a standard normal: the sum of eight 16-bit uniforms of two hash words.
///
/// Shapes    out  [count]  bf16, 16-byte aligned
/// Limits    count >= 1
/// Error     exact: integer sums, one f32 product, one rounding
/// Cost      2 bytes written per value; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_random_normal(const WnRandomNormalParams* params, void* stream);

#endif
