#ifndef WINNOW_CUDA_PAIRWISE_COSINE_H
#define WINNOW_CUDA_PAIRWISE_COSINE_H

#include "cache_view.h"

typedef struct WnPairwiseCosineParams {
  WnCacheView cache;
  const int32_t* left;
  const int32_t* left_lens;
  const int32_t* right;
  const int32_t* right_lens;
  float* out;
  int32_t left_stride, right_stride;
  int32_t what;  ///< 0 keys, 1 values
} WnPairwiseCosineParams;

/// Cosines of listed slots with other listed slots of the same head; a zero vector has cosine 0.
///
/// Shapes    left   [rows, num_kv_heads, left_stride]  int32 slots, lens [rows, num_kv_heads]; right likewise
///           out    [rows, num_kv_heads, left_stride, right_stride]  f32, -inf where either list has ended
/// Error     absolute 1e-5
/// Cost      left x right x head_dim multiply-adds in f32; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_pairwise_cosine(const WnPairwiseCosineParams* params, void* stream);

#endif
