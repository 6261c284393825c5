#ifndef WINNOW_CUDA_RANDOM_SCORES_H
#define WINNOW_CUDA_RANDOM_SCORES_H

#include "status.h"

typedef struct WnRandomScoresParams {
  float* scores;
  uint64_t seed, layer;
  int32_t rows, num_kv_heads, length;
} WnRandomScoresParams;

/// Uniform scores in [0, 1) from a counter-based hash of (seed, layer, head, slot), the same for every row.
///
/// Shapes    scores  [rows, num_kv_heads, length]  f32
/// Error     exact: the bits of the CPU backend
/// Cost      one write per score; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_random_scores(const WnRandomScoresParams* params, void* stream);

#endif
