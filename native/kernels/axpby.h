#pragma once

#include <cstdint>

#include "status.h"

namespace winnow {

/// out = a * x + b * y, element by element; y may be null (b unused). Where x or y is -inf the result is -inf, whatever the
/// factors: -inf marks a slot that is not there.
///
/// Shapes    x, y, out [count] f32; out may be x or y
/// Cost      one pass; the same bits on every machine (a * x and b * y are rounded before they are added)
void Axpby(const float* x, float a, const float* y, float b, int64_t count, float* out);

enum class HeadReduce : int32_t { kMean = 0, kSum = 1, kMax = 2 };
/// Reduces [rows, lists, length] to [rows, length], lists in ascending order.
void ReduceHeads(const float* scores, int64_t rows, int64_t lists, int64_t length, HeadReduce how, float* out);

}  // namespace winnow
