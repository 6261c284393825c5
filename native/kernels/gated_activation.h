#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"

namespace winnow {

enum class GateKind : int32_t { kSilu, kGeluTanh };

struct GatedActivationParams {
  const void* gate_up;
  DType gate_up_type;
  GateKind kind;
  int64_t num_rows, width;
  void* out;
  DType out_type;
};

/// Gated activation of a fused projection.
///
///   out[t, i] = act(gate[t, i]) * up[t, i];  SiLU x / (1 + e^-x), GELU (tanh) x / (1 + e^-2y), y = sqrt(2/pi) (x + 0.044715 x^3)
///
/// Shapes    gate_up  [num_rows, 2 * width]  f32 or bf16: gate, then up
///           out      [num_rows, width]      f32 or bf16; must not alias gate_up
/// Error     relative RMS against fp64: f32 <= 1e-6, bf16 <= 2^-8; the same f32 bits on every instruction set
/// Cost      one exp and one division a value; reads and writes each value once; no allocation
/// Returns   Status with code and message; never throws, prints or exits
Status GatedActivation(const Context& context, const GatedActivationParams& params);

struct GatedActivationKernels {
  void (*row)(const void* gate, const void* up, bool bf16_in, GateKind kind, int64_t width, void* out, bool bf16_out);
};
WINNOW_DECLARE_KERNELS(GatedActivationKernels);

/// The naive fp64 form of one value.
double GatedActivationReference(double gate, double up, GateKind kind);

}  // namespace winnow
