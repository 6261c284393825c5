#ifndef WINNOW_CUDA_TOP_P_H
#define WINNOW_CUDA_TOP_P_H

#include "status.h"

typedef struct WnTopPParams {
  const float* weights;
  int32_t* indices;
  int32_t* lens;
  int64_t num_lists;
  int32_t length;
  int32_t protect_first, protect_last;
  double mass;
} WnTopPParams;

/// The fewest entries of each list, largest first, whose weights sum to at least `mass` of the list's sum, ascending by index.
///
/// The first protect_first and the last protect_last entries are taken before all others and count with their weights; equal
/// weights by lower index. Entries of -inf and NaN are none.
///
/// Shapes    weights  [num_lists, length]  f32 of 0 or more
///           indices  [num_lists, length]  int32, padded with -1
///           lens     [num_lists]  int32, entries written; -1 where a weight is below 0 (then no index is written)
/// Limits    0 <= mass <= 1
/// Error     sums in f64 in a fixed order; bitwise repeatable
/// Cost      one block a list, about 36 reads of it (31 of them bisect the smallest weight taken); asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_top_p(const WnTopPParams* params, void* stream);

#endif
