#include <cmath>
#include <cstring>

#include "weights.h"

namespace winnow {

namespace {

double Half(const std::byte* p) {
  auto h = static_cast<unsigned>(p[0]) | static_cast<unsigned>(p[1]) << 8;
  int exponent = static_cast<int>(h >> 10 & 31), mantissa = static_cast<int>(h & 1023);
  double magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(mantissa, -24)
                                     : std::ldexp(1024 + mantissa, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

}  // namespace

double SourceValueReference(const WeightSource& s, int64_t row, int64_t col) {
  if (s.interleaved_heads > 0) {
    int64_t head_dim = s.rows / s.interleaved_heads, i = row % head_dim;
    int64_t pair = i % (head_dim / 2), which = i / (head_dim / 2);
    row = row - i + 2 * pair + which;
  }
  const std::byte* bytes = s.bytes + row * RowBytes(s.type, s.cols);
  switch (s.type) {
    case WeightType::kF32: {
      float f;
      std::memcpy(&f, bytes + 4 * col, 4);
      return f;
    }
    case WeightType::kF16: return Half(bytes + 2 * col);
    case WeightType::kBf16: {
      uint32_t bits = (static_cast<uint32_t>(bytes[2 * col]) | static_cast<uint32_t>(bytes[2 * col + 1]) << 8) << 16;
      float f;
      std::memcpy(&f, &bits, 4);
      return f;
    }
    default: break;
  }
  int64_t block = col / 32, i = col % 32;
  if (s.type == WeightType::kQ8_0) {
    const std::byte* b = bytes + block * 34;
    return Half(b) * static_cast<int8_t>(b[2 + i]);
  }
  bool has_minimum = s.type == WeightType::kQ4_1;
  const std::byte* b = bytes + block * (has_minimum ? 20 : 18);
  auto packed = static_cast<unsigned>(b[(has_minimum ? 4 : 2) + i % 16]);
  int q = static_cast<int>(i < 16 ? packed & 15 : packed >> 4);
  return has_minimum ? Half(b) * q + Half(b + 2) : Half(b) * (q - 8);
}

}  // namespace winnow
