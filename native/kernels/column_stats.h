#pragma once

#include "attend_tile.h"
#include "isa.h"
#include "status.h"

namespace winnow {

enum class ColumnReduce : int32_t { kSum, kMean, kMax, kVariance, kEntropy };
/// Planes of a state: closed blocks and the open one, of p (or -p ln p), and for the variance of p^2 too.
constexpr int64_t ColumnPlanes(ColumnReduce reduce) { return reduce == ColumnReduce::kVariance ? 4 : 2; }

struct ColumnStatsParams {
  const Cache* cache;
  int32_t layer;
  int32_t num_query_heads;
  int32_t query_len;
  const void* q;
  float softmax_scale;
  float soft_cap;
  int32_t sliding_window;
  const float* lse;
  int32_t first_row;
  ColumnReduce reduce;
  float* state;
  int64_t width;
};

/// Adds the attention of a chunk's queries to statistics of each key column: a second pass over q, k and log-sum-exp.
///
///   p[t, s] = exp(logit[t, s] - lse[t]) for s <= own(t) = n - query_len + t, queries with own(t) < first_row left out
///   state += sum of p, max of p, p and p^2 (variance), or -p ln p (entropy), per query head and slot s
///
/// Shapes    q [query_len, num_query_heads * head_dim] element type; lse [query_len, num_query_heads] f32, natural log
///           state [planes, num_query_heads, width] f32, zero at first, width >= n
/// Order     queries one after another within blocks of 64 slots aligned to slot 0, then blocks: chunk borders change no bit
/// Error     f32 relative RMS <= 1e-5, bf16 <= 1e-2 of dense attention; a slot that hides behind a sliding window adds 0
/// Numerics  bits depend neither on chunks nor on threads; f32: the same on every instruction set
/// Cost      the products of q and k once more; scratch of one panel a thread
Status ColumnStats(const Context& context, const ColumnStatsParams& params);

/// out [num_query_heads, width] of a state after queries [first_row, rows): sums, mean and variance (n - 1) over the queries
/// that can see the column, largest, entropy summed; 0 where fewer queries than needed see it.
Status FinishColumnStats(const float* state, int32_t num_query_heads, int64_t width, ColumnReduce reduce, int64_t first_row,
                         int64_t rows, float* out);

/// fp64 statistics of queries [first_row, rows) in one go: out [num_query_heads, width].
void ColumnStatsRef(const ColumnStatsParams& params, double* out);

}  // namespace winnow
