#ifndef WINNOW_CUDA_TOP_K_H
#define WINNOW_CUDA_TOP_K_H

#include "status.h"

typedef struct WnTopKParams {
  const float* scores;
  const int32_t* lens;
  int32_t* indices;
  int32_t* counts;
  int64_t row_stride;
  int32_t num_rows, row_len, k, indices_stride;
  int32_t segment_len, sink_tokens, recent_tokens;
} WnTopKParams;

/// The k best positions of every row, ascending, with protected ranges.
///
/// Order: protected first, then greater score; equal scores by lower index. NaN ranks below everything, -0 equals 0.
/// A position is protected if its place i % segment_len is below sink_tokens or at least
/// segment_length - recent_tokens (a row is one or more segments laid end to end: heads of a layer, layers of a
/// model); protected positions count in k.
///
/// Shapes    scores   num_rows rows of row_len f32 at row_stride
///           lens     [num_rows]  int32 valid positions of each row, <= row_len; null = row_len
///           indices  [num_rows, indices_stride]  int32, ascending, counts[row] of them written
///           counts   [num_rows]  int32, min(k, length)
/// Limits    0 <= k <= indices_stride; segment_len >= 1, or 0 for one segment per row; lens only with segment_len 0
/// Error     exact; bitwise repeatable
/// Cost      five reads of the row by one thread block: meant for rows up to a million; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_top_k(const WnTopKParams* params, void* stream);

#endif
