#pragma once

#include "isa.h"
#include "status.h"
#include "window_scores.h"

namespace winnow {

struct BlockScoresParams {
  const void* q;
  DType q_type;
  const float* summary;
  int32_t rows;
  int32_t query_len;
  int32_t num_query_heads;
  int32_t num_kv_heads;
  int32_t head_dim;
  int64_t num_pages;
  GqaReduce gqa;
  float* out;
};

/// Upper bound of q . k over the keys of each page, from the page's channel-wise minimum and maximum.
///
///   bound[h, p] = max over t of sum_c max(q[t, h, c] * min[p, c], q[t, h, c] * max[p, c])
///
/// Shapes    q        [rows * query_len, num_query_heads * head_dim]   f32 or bf16
///           summary  [rows, num_kv_heads, num_pages, 2, head_dim]     f32
///           out      [rows, S, num_pages]                             f32, -inf for a page without members; S by gqa
/// Limits    num_query_heads % num_kv_heads == 0
/// Error     f32 relative RMS 1e-6; the same bits on every instruction set
/// Cost      4 * rows * query_len * num_query_heads * num_pages * head_dim operations, one read of the summary a query head
Status BlockScores(const Context& context, const BlockScoresParams& params);
void BlockScoresRef(const BlockScoresParams& params, double* out);

struct BlockScoresKernels {
  /// Bounds of one query against [num_pages, 2, dim], raised into out where larger.
  void (*raise)(const float* q, const float* summary, int64_t num_pages, int32_t dim, float* out);
};
WINNOW_DECLARE_KERNELS(BlockScoresKernels);

}  // namespace winnow
