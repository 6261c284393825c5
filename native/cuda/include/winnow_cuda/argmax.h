#ifndef WINNOW_CUDA_ARGMAX_H
#define WINNOW_CUDA_ARGMAX_H

#include "status.h"

typedef struct WnArgmaxParams {
  const float* logits;
  int32_t* index;
  int64_t row_stride;
  int32_t num_rows, width;
} WnArgmaxParams;

/// Position of the greatest value of each row; equal values give the lowest index, NaN ranks below everything.
///
/// Shapes    logits  num_rows rows of width f32 at row_stride
///           index   [num_rows]  int32
/// Limits    width >= 1
/// Error     exact
/// Cost      one read of the row by one thread block; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_argmax(const WnArgmaxParams* params, void* stream);

#endif
