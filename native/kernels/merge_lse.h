#pragma once

#include "isa.h"
#include "status.h"

namespace winnow {

struct MergeLseParams {
  const float* outs;
  const float* lses;
  int64_t num_parts;
  int64_t rows;  ///< tokens x query heads
  int64_t width;
  float* out;
  float* lse;
};

/// Merges attentions over disjoint sets of keys, given each one's output and log-sum-exp.
///
///   lse = log sum_p exp(lses[p]),  out = sum_p exp(lses[p] - lse) outs[p];  all -inf: out 0, lse -inf
///
/// Shapes    outs [num_parts, rows, width], lses [num_parts, rows], out [rows, width], lse [rows]   f32
/// Units     natural log
/// Error     relative RMS <= 1e-6; the same bits on every instruction set; parts are added in order
/// Cost      one read of outs; no allocation; a part with lse -inf is not read
Status MergeLse(const Context& context, const MergeLseParams& params);
void MergeLseRef(const MergeLseParams& params, double* out, double* lse);

struct MergeLseKernels {
  void (*rows)(const MergeLseParams& params, int64_t begin, int64_t end);
};
WINNOW_DECLARE_KERNELS(MergeLseKernels);

}  // namespace winnow
