#ifndef WINNOW_CUDA_BLOCK_SCORES_H
#define WINNOW_CUDA_BLOCK_SCORES_H

#include "cache_view.h"

typedef struct WnBlockScoresParams {
  const void* q;
  const float* summary;
  float* scores;
  int32_t rows, query_len, num_query_heads, num_kv_heads, head_dim, num_blocks;
  int32_t q_type;  ///< WN_F32 or WN_BF16
  int32_t gqa;     ///< WN_GQA_*
} WnBlockScoresParams;

/// Upper bound of q . k over the keys of each block, from what wn_block_summary made.
///
///   bound[h, b] = max over t of sum_c max(q[t, h, c] * min[b, c], q[t, h, c] * max[b, c])
///
/// Shapes    q        [rows * query_len, num_query_heads, head_dim]  f32 or bf16
///           summary  [rows, num_kv_heads, num_blocks, 2, head_dim]  f32
///           scores   [rows, S, num_blocks]  f32, -inf for a block without slots; S lists by gqa
/// Limits    head_dim <= 256; num_query_heads % num_kv_heads == 0
/// Error     relative RMS against the fp64 reference <= 1e-5
/// Cost      the summary is read once per list; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    Quest (arXiv 2406.10774) section 3
WN_API WnStatus wn_block_scores(const WnBlockScoresParams* params, void* stream);

#endif
