#ifndef WINNOW_CUDA_ELEMENTWISE_H
#define WINNOW_CUDA_ELEMENTWISE_H

#include "status.h"

enum {
  WN_ELEMENT_COPY = 0,       ///< out = x, converted
  WN_ELEMENT_SOFT_CAP = 1,   ///< out = a * tanh(x / a)
  WN_ELEMENT_AXPBY = 2,      ///< out = a * x + b * y, -inf where x or y is (y null: a * x)
  WN_ELEMENT_SCALE_ROWS = 3, ///< out = x * y[row], y f32
  WN_ELEMENT_ADD_ROWS = 4,   ///< out = x + y[row], all int32
  WN_ELEMENT_ADD_BIAS = 5,   ///< out = x + y[column], y f32
  WN_ELEMENT_MIX = 6         ///< out = sum over parts of y[row, part] * x[part], x f32 [parts, count]; a part of weight 0 adds nothing
};

typedef struct WnElementwiseParams {
  const void* x;
  const void* y;
  void* out;
  int64_t count;
  int64_t row_len;  ///< elements of a row, for y by row or column
  int32_t parts;    ///< of a mix
  int32_t op;       ///< WN_ELEMENT_*
  int32_t x_type, out_type;
  float a, b;
} WnElementwiseParams;

/// One operation on every element of a tensor.
///
/// Shapes    x, out  count elements of x_type and out_type; out may be x where the types are equal
///           y       as the operation says; count, count / row_len (times parts) or row_len elements
/// Limits    f32 and bf16 (int32: ADD_ROWS, and COPY to int32); a > 0 for a soft cap
/// Error     one rounding of each f32 operation, and of the result to out_type; soft cap 1e-6 relative
/// Cost      one read of each operand, one write; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_elementwise(const WnElementwiseParams* params, void* stream);

#endif
