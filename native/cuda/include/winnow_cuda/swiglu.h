#ifndef WINNOW_CUDA_SWIGLU_H
#define WINNOW_CUDA_SWIGLU_H

#include "status.h"

typedef struct WnSwigluParams {
  const void* gate;
  const void* up;
  void* out;
  int64_t gate_stride, up_stride, out_stride;  ///< elements between rows
  int64_t num_rows;
  int32_t width;
} WnSwigluParams;

/// out = gate * sigmoid(gate) * up, element by element.
///
/// Shapes    gate, up, out  num_rows rows of width at their strides, bf16, 16-byte aligned; out may be gate or up
/// Limits    width and strides multiples of 8
/// Error     relative RMS against the fp64 reference <= 4e-3 (bf16 output)
/// Cost      6 bytes moved per element; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_swiglu(const WnSwigluParams* params, void* stream);

#endif
