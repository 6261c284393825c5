#pragma once

#include "attend_tile.h"
#include "isa.h"
#include "status.h"

namespace winnow {

struct AttendPrefillParams {
  const Cache* cache;
  int32_t layer;
  int32_t num_query_heads;
  int32_t query_len;
  const void* q;
  float softmax_scale;
  float soft_cap;
  int32_t sliding_window;
  const int32_t* windows;
  void* out;
  float* lse;
};

/// Causal attention of query_len new queries of one sequence over its cache, after their keys and values were appended.
///
///   out[t, h] = softmax(softmax_scale * q[t, h] . K[S, g]^T + bias[S]) . V[S, g],  g = h / group_size,  n slots in head g,
///   S = {s <= n - query_len + t}, of which a window keeps s < sink or s > n - query_len + t - recent, and a sliding window
///   those whose position is above that of the query's own slot minus sliding_window
///
/// Shapes    q        [query_len, num_query_heads * head_dim]     element type of the cache
///           windows  [num_query_heads, 2]                        int32 (sink slots, recent slots; -1 everything) or null
///           out      [query_len, num_query_heads * head_dim_v]   element type of the cache; must not alias q
///           lse      [query_len, num_query_heads]                f32, natural log; null = not wanted
/// Units     soft_cap and sliding_window 0 = none; sliding_window in positions
/// Limits    num_query_heads % num_kv_heads == 0; every head holds at least query_len slots
/// Error     f32 relative RMS <= 2e-6, bf16 <= 6e-3 against fp64; out 0 and lse -inf where nothing is visible
/// Numerics  a query's bits depend neither on query_len nor on threads; f32: the same on every instruction set
/// Cost      pairs * (head_dim + head_dim_v) * 2 operations; panels of 64 keys that a group of 6 queries does not see cost
///           nothing; scratch of one key block and one tile of queries a thread
Status AttendPrefill(const Context& context, const AttendPrefillParams& params);

/// The same in fp64, one query at a time: out [query_len, num_query_heads * head_dim_v], lse [query_len, num_query_heads].
void AttendPrefillRef(const AttendPrefillParams& params, double* out, double* lse);

}  // namespace winnow
