#ifndef WINNOW_CUDA_TOP_K_H
#define WINNOW_CUDA_TOP_K_H

#include "status.h"

/// Budgets that may come with the call instead of from the device: 64 rows of 8 heads.
enum { WN_TOP_K_FEW = 512 };

typedef struct WnTopKParams {
  const float* scores;
  const int32_t* counts;
  int32_t* indices;
  int32_t* lens;
  void* workspace;
  int64_t workspace_bytes;
  int32_t num_lists, length;
  int32_t lists_per_budget;  ///< consecutive lists that share one budget; divides num_lists
  int32_t indices_stride;
  int32_t protect_first, protect_last;
  int32_t few_counts[WN_TOP_K_FEW];
} WnTopKParams;

/// The best entries of lists of scores, ascending by index, one budget a list or over several lists.
///
/// Order: protected entries first, then greater score; equal scores by lower list, then lower index; -0 equals 0. Entries of
/// -inf and NaN are none. The first protect_first and the last protect_last entries of each list are protected; a budget that
/// does not cover them takes the first ones of all lists rank by rank, then the last ones from the end.
///
/// Shapes    scores   [num_lists, length]  f32
///           counts   [num_lists / lists_per_budget]  int32, entries to take; below 0 counts as 0; null: few_counts, at most
///                    WN_TOP_K_FEW budgets
///           indices  [num_lists, indices_stride]  int32, padded with -1; what does not fit is dropped
///           lens     [num_lists]  int32, entries written
///           workspace  wn_top_k_workspace_bytes, 16-byte aligned; contents need no preparation
/// Limits    lists_per_budget * length < 2^31; (protect_first + protect_last, each at most length) * lists_per_budget <= 8000000
/// Error     exact; bitwise repeatable
/// Cost      a list of up to 16384 entries with a budget of its own: one launch, one block. Else about six reads of the scores
///           by as many thread blocks as they fill; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_top_k(const WnTopKParams* params, void* stream);

/// Bytes of workspace: the scores' sort keys and a few counters.
WN_API int64_t wn_top_k_workspace_bytes(const WnTopKParams* params);

#endif
