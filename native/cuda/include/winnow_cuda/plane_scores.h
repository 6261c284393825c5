#ifndef WINNOW_CUDA_PLANE_SCORES_H
#define WINNOW_CUDA_PLANE_SCORES_H

#include "cache_view.h"

typedef struct WnPlaneScoresParams {
  const void* q;
  const float* plane;
  const int32_t* used;
  float* scores;
  int64_t capacity;
  int32_t rows, query_len, num_query_heads, num_kv_heads, width, max_len;
  int32_t q_type;  ///< WN_F32 or WN_BF16
  int32_t gqa;     ///< WN_GQA_*
} WnPlaneScoresParams;

/// Products of queries with projected keys, centroids or labels: the largest over a row's queries, then by gqa.
///
/// Shapes    q       [rows, query_len, num_query_heads, width]  f32 or bf16
///           plane   [rows, num_kv_heads, capacity, width]  f32
///           used    [rows, num_kv_heads]  int32 entries in use, at most capacity
///           scores  [rows, S, max_len]  f32, -inf from `used` on; S lists by gqa
/// Error     relative RMS against the fp64 reference <= 1e-5
/// Cost      the plane once per list and query of it; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_plane_scores(const WnPlaneScoresParams* params, void* stream);

#endif
