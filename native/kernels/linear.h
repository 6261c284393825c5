#pragma once

#include <cstdint>

#include "gated_activation.h"
#include "isa.h"
#include "status.h"
#include "weights.h"

namespace winnow {

struct LinearInput {
  const void* x;
  DType x_type;
  int64_t num_rows;
  const PackedMatrix* weight;
  /// The rows are tokens of a decode step, in which weights are read for few rows: bf16 activations meet the codes of block
  /// weights as they are, and scales come in once per block. Other weights and f32 activations know no difference.
  bool step = false;
};

struct LinearParams {
  LinearInput in;
  const float* bias;
  bool accumulate;
  void* out;
  DType out_type;
};

/// Dense product with a packed matrix; columns of out are in packed order (gate and up woven, where they were).
///
///   out[t, n] (+)= sum_k x[t, k] * w[n, k]  (+ bias[n])
///
/// Shapes    x     [num_rows, cols]   f32 or bf16
///           bias  [rows]             f32, or null
///           out   [num_rows, rows]   f32 or bf16; must not alias x
/// Limits    accumulate only into f32; bf16 x or out only where context.has_bf16()
/// Numerics  with f32 activations w = fma(q, d, m), sum = fma(w, x, sum), k ascending: the same bits on every instruction
///           set. With bf16 activations w is rounded to bf16 and pairs of k go through the set's dot product; in a step
///           codes are exact: sum over blocks of d (x . q) + m (sum of x). Always one accumulator per output: a row's bits
///           depend neither on num_rows nor on the threads (but on whether it is a step's).
/// Error     against fp64, relative to sum |w x|: f32 <= 2e-6, bf16 <= 2^-8 (unit roundoff of a weight)
/// Cost      2 * num_rows * rows * cols operations; packed bytes read once per thread that takes part in a panel
/// Returns   Status with code and message; never throws, prints or exits
Status Linear(const Context& context, const LinearParams& params);

struct LinearGatedParams {
  LinearInput in;
  GateKind kind;
  void* out;
  DType out_type;
};

/// Linear, then the gated activation, without the wide intermediate in memory: the same bits as Linear into f32 followed
/// by GatedActivation.
///
/// Shapes    x    [num_rows, cols]      f32 or bf16
///           out  [num_rows, rows / 2]  f32 or bf16; must not alias x
/// Limits    a weight packed with weave 32: gate and up of 32 units in each panel
/// Cost      as Linear; 24 KB of scratch a thread
/// Returns   Status with code and message; never throws, prints or exits
Status LinearGated(const Context& context, const LinearGatedParams& params);

/// The naive fp64 form of Linear, over plain weights [rows, cols].
void LinearReference(const double* x, int64_t num_rows, const double* weight, int64_t rows, int64_t cols, const float* bias,
                     double* out);

}  // namespace winnow
