#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"
#include "weights.h"

namespace winnow {

struct LinearParams {
  const void* x;
  DType x_type;
  int64_t num_rows;
  const PackedMatrix* weight;
  const float* bias;
  bool accumulate;
  void* out;
  DType out_type;
};

/// Dense product with a packed matrix.
///
///   out[t, n] (+)= sum_k x[t, k] * w[n, k]  (+ bias[n])
///
/// Shapes    x     [num_rows, cols]   f32 or bf16
///           bias  [rows]             f32, or null
///           out   [num_rows, rows]   f32 or bf16; must not alias x
/// Limits    accumulate only into f32; bf16 x or out only where context.has_bf16()
/// Numerics  with f32 activations w = fma(q, d, m), sum = fma(w, x, sum), k ascending: the same bits on every instruction
///           set. With bf16 activations w is rounded to bf16 and pairs of k go through the set's dot product. Either way
///           one accumulator per output: a row's bits depend neither on num_rows nor on the threads.
/// Error     against fp64, relative to sum |w x|: f32 <= 2e-6, bf16 <= 2^-8 (unit roundoff of a weight)
/// Cost      2 * num_rows * rows * cols operations; packed bytes read once per thread that takes part in a panel
/// Returns   Status with code and message; never throws, prints or exits
Status Linear(const Context& context, const LinearParams& params);

/// The naive fp64 form, over plain weights [rows, cols].
void LinearReference(const double* x, int64_t num_rows, const double* weight, int64_t rows, int64_t cols, const float* bias,
                     double* out);

}  // namespace winnow
