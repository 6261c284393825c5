#ifndef WINNOW_CUDA_GATED_ACTIVATION_H
#define WINNOW_CUDA_GATED_ACTIVATION_H

#include "linear.h"
#include "status.h"

typedef struct WnGatedActivationParams {
  const void* gate_up;
  void* out;
  int64_t num_rows;
  int32_t width;     ///< of the result
  int32_t in_type, out_type;
  int32_t gate;      ///< WN_GATE_SILU or WN_GATE_GELU_TANH
  int32_t is_woven;  ///< 1: groups of 32 of gate and up take turns; 0: gate, then up
} WnGatedActivationParams;

/// out = act(gate) * up, element by element; SiLU is x / (1 + e^-x), GELU the tanh form.
///
/// Shapes    gate_up  [num_rows, 2 * width]  f32 or bf16
///           out      [num_rows, width]  f32 or bf16; aliases nothing
/// Limits    width even; woven: width a multiple of 32
/// Error     relative RMS against the fp64 reference <= 4e-3 (bf16 output), 1e-6 (f32)
/// Cost      one read and one write per element; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_gated_activation(const WnGatedActivationParams* params, void* stream);

#endif
