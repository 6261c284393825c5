/// Small products that attention plans need beside attention itself: gains of heads, parts mixed by gates, rows chosen.
#pragma once

#include "isa.h"
#include "status.h"
#include "tensor.h"

namespace winnow {

/// out[i, c] = x[i, c] * factor[i]: rows are (token, query head).
/// Shapes    x, out [rows, width] f32 or bf16, may be the same; factor [rows] f32. Error: one rounding.
Status ScaleRows(const Tensor& x, const float* factor, int64_t rows, int64_t width, const Tensor& out);

/// out[i, c] = sum_p gates[i, p] * outs[p, i, c], parts in order; a part with gate 0 is not read.
/// Shapes    outs [parts, rows, width] f32; gates [rows, parts] f32; out [rows, width] f32. Error: relative RMS <= 1e-6.
Status MixParts(const float* outs, const float* gates, int64_t parts, int64_t rows, int64_t width, float* out);

/// Row r of out is row r of `yes` where predicate[r] > 0, else of `no`; short lines end with -1 (i32) or 0.
/// Shapes    predicate [rows] f32 or i32; yes [rows, lists, a], no [rows, lists, b], out [rows, lists, max(a, b)], one dtype
Status ChooseRows(const Tensor& predicate, const Tensor& yes, const Tensor& no, const Tensor& out);

}  // namespace winnow
