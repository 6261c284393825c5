#ifndef WINNOW_CUDA_COLUMN_STATS_H
#define WINNOW_CUDA_COLUMN_STATS_H

#include "status.h"

enum { WN_COLUMN_SUM = 0, WN_COLUMN_MEAN = 1, WN_COLUMN_MAX = 2, WN_COLUMN_VARIANCE = 3, WN_COLUMN_ENTROPY = 4 };

typedef struct WnColumnStatsParams {
  const void* q;
  const void* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  const int32_t* positions;
  const float* log_bias;
  const float* lse;
  float* state;
  int64_t width;
  int32_t query_len, num_query_heads, num_kv_heads, head_dim;
  int32_t page_table_stride;
  int32_t sliding_window, first_row;
  int32_t reduce;  ///< WN_COLUMN_*
  float softmax_scale, soft_cap;
} WnColumnStatsParams;

/// Adds the attention of a chunk's queries to statistics of each key column: a second pass over q, k and log-sum-exp.
///
///   p[t, s] = exp(cap(softmax_scale * q[t, h] . k[s, g]) + log_bias[s] - lse[t, h]) for s <= own(t) = n - query_len + t,
///   0 behind the sliding window; queries with own(t) < first_row are left out;  n = kv_lens[g]
///   state[0, h, s] += sum over t of p (sum, mean, variance) or of -p ln p (entropy); max: the larger
///   state[2, h, s] += sum over t of p^2 (variance)
///
/// Shapes    q           [query_len, num_query_heads, head_dim]  bf16, 16-byte aligned
///           pages       the paged cache (see WN_PAGE_SIZE) with page_table [num_kv_heads, page_table_stride]
///           kv_lens     [num_kv_heads]  int32, query_len .. width
///           positions   [num_pages, 64]  int32 by arena slot; needed with sliding_window
///           log_bias    [num_pages, 64]  f32, nats; null = none
///           lse         [query_len, num_query_heads]  f32, natural log; -inf where a query sees nothing
///           state       [2, or 4 for the variance, num_query_heads, width]  f32, zero at first
/// Limits    head_dim a multiple of 16 up to 256; softmax_scale > 0; num_query_heads <= 65535
/// Numerics  queries in blocks of 64 aligned to slot 0, then blocks in order: chunk borders at multiples of 64 change no bit
/// Error     relative RMS against the fp64 reference <= 2e-3
/// Cost      2 * head_dim FLOP per visible pair and query head, no value is read; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_column_stats(const WnColumnStatsParams* params, void* stream);

typedef struct WnFinishColumnStatsParams {
  const float* state;
  float* out;
  int64_t width, first_row, num_rows;
  int32_t num_query_heads;
  int32_t reduce;  ///< WN_COLUMN_*
} WnFinishColumnStatsParams;

/// The statistics of a state over queries [first_row, num_rows), of which those from a column's own on see it.
///
/// Shapes    state, out  as above, [num_query_heads, width] f32
/// Limits    mean 0 where no query sees the column; variance over count - 1, 0 below two queries
/// Cost      one pass; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_finish_column_stats(const WnFinishColumnStatsParams* params, void* stream);

#endif
