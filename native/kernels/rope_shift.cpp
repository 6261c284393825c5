#include "rope_shift.h"

#include <cstring>

#include "numerics.h"

namespace winnow {
namespace {

float Get(const void* x, DType element, int32_t i) {
  return element == DType::kBf16 ? FromBf16(static_cast<const Bf16*>(x)[i]) : static_cast<const float*>(x)[i];
}

void Put(void* x, DType element, int32_t i, float value) {
  if (element == DType::kBf16) static_cast<Bf16*>(x)[i] = ToBf16(value);
  else static_cast<float*>(x)[i] = value;
}

}  // namespace

void ShiftRope(const void* x, DType element, int32_t head_dim, const float* cos_sin, int32_t rope_dims, int32_t from, int32_t to,
               void* out) {
  if (from == to) {
    if (out != x) std::memcpy(out, x, static_cast<size_t>(head_dim) * SizeOf(element));
    return;
  }
  const int32_t half = rope_dims / 2;
  const float* source = from < 0 ? nullptr : cos_sin + int64_t{from} * rope_dims;
  const float* target = cos_sin + int64_t{to} * rope_dims;
  for (int32_t i = 0; i < half; i++) {
    float re = target[i];
    float im = target[half + i];
    if (source != nullptr) {
      const float c = source[i];
      const float s = source[half + i];
      const float norm = c * c + s * s;
      const float turned = (re * c + im * s) / norm;
      im = (im * c - re * s) / norm;
      re = turned;
    }
    const float a = Get(x, element, i);
    const float b = Get(x, element, half + i);
    Put(out, element, i, a * re - b * im);
    Put(out, element, half + i, b * re + a * im);
  }
  for (int32_t i = rope_dims; i < head_dim; i++) Put(out, element, i, Get(x, element, i));
}

}  // namespace winnow
