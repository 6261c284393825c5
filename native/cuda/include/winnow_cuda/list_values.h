#ifndef WINNOW_CUDA_LIST_VALUES_H
#define WINNOW_CUDA_LIST_VALUES_H

#include "status.h"

enum {
  WN_LIST_SOFTMAX = 0,  ///< out f32 [num_lists, length]; -inf stays, a list without entries stays as it is
  WN_LIST_ENTROPY = 1,  ///< out f32 [num_lists]: nats of the weights over their sum; what is not above 0 weighs nothing
  WN_LIST_ARGMAX = 2    ///< out int32 [num_lists]: ties to the lower index, -1 where all are -inf or NaN
};

typedef struct WnListValuesParams {
  const float* x;
  void* out;
  int64_t num_lists;
  int32_t length;
  int32_t op;  ///< WN_LIST_*
} WnListValuesParams;

/// What is computed of one list at a time.
///
/// Shapes    x    [num_lists, length]  f32, -inf where an entry is missing
///           out  as the operation says; may be x for the softmax
/// Error     softmax relative RMS <= 1e-5, entropy 1e-4 nats, argmax exact; bitwise repeatable
/// Cost      up to three reads by one thread block a list; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_list_values(const WnListValuesParams* params, void* stream);

#endif
