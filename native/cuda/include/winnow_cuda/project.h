#ifndef WINNOW_CUDA_PROJECT_H
#define WINNOW_CUDA_PROJECT_H

#include "cache_view.h"

typedef struct WnProjectSlotsParams {
  WnCacheView cache;
  const float* basis;
  float* out;
  int32_t rank, last, max_len;
  int32_t what;  ///< 0 keys, 1 values
} WnProjectSlotsParams;

/// out[s] = basis . key (or value) of slot s: of all slots of a head, or of its last `last` ones.
///
/// Shapes    basis  [num_kv_heads, rank, head_dim]  f32
///           out    [rows, num_kv_heads, max_len, rank]  f32, 0 beyond a head's slots
/// Limits    last <= every length, 0 = all
/// Error     relative RMS against the fp64 reference <= 1e-5
/// Cost      rank * head_dim FLOP and 2 * head_dim bytes a slot; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_project_slots(const WnProjectSlotsParams* params, void* stream);

typedef struct WnProjectQueriesParams {
  const void* q;
  const float* basis;
  float* out;
  int64_t num_tokens;
  int32_t num_query_heads, num_bases, head_dim, rank;
  int32_t q_type;  ///< WN_F32 or WN_BF16
} WnProjectQueriesParams;

/// out[i, h] = basis[floor(h / (num_query_heads / num_bases))] . q[i, h].
///
/// Shapes    q      [num_tokens, num_query_heads, head_dim]  f32 or bf16
///           basis  [num_bases, rank, head_dim]  f32
///           out    [num_tokens, num_query_heads, rank]  f32
/// Error     relative RMS against the fp64 reference <= 1e-5
/// Cost      rank * head_dim FLOP a head; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_project_queries(const WnProjectQueriesParams* params, void* stream);

#endif
