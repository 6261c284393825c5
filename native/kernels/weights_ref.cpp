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

int U8(const std::byte* p) { return static_cast<int>(*p); }
int I8(const std::byte* p) { return static_cast<int8_t>(*p); }

/// Value i of a block of 32.
double BlockValue(WeightType type, const std::byte* b, int i) {
  auto nibble = [i](const std::byte* q) { return i < 16 ? U8(q + i) & 15 : U8(q + i - 16) >> 4; };
  auto fifth = [i](const std::byte* bits) { return (U8(bits + i / 8) >> (i % 8) & 1) * 16; };
  constexpr int kLevels[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  switch (type) {
    case WeightType::kQ8_0: return Half(b) * I8(b + 2 + i);
    case WeightType::kQ4_0: return Half(b) * (nibble(b + 2) - 8);
    case WeightType::kQ4_1: return Half(b) * nibble(b + 4) + Half(b + 2);
    case WeightType::kQ5_0: return Half(b) * (nibble(b + 6) + fifth(b + 2) - 16);
    case WeightType::kQ5_1: return Half(b) * (nibble(b + 8) + fifth(b + 4)) + Half(b + 2);
    default: return Half(b) * kLevels[nibble(b + 2)];
  }
}

/// Value i of a super-block of 256.
double SuperBlockValue(WeightType type, const std::byte* b, int i) {
  if (type == WeightType::kQ6_K) {
    int n = i / 128, quarter = i % 128 / 32, l = i % 32;
    int low = U8(b + 64 * n + (quarter % 2) * 32 + l) >> (quarter / 2 * 4) & 15, high = U8(b + 128 + 32 * n + l) >> (2 * quarter) & 3;
    return Half(b + 208) * I8(b + 192 + i / 16) * (low + 16 * high - 32);
  }
  int j = i / 32, l = i % 32;
  const std::byte* s = b + 4;
  int scale = j < 4 ? U8(s + j) & 63 : (U8(s + j + 4) & 15) + (U8(s + j - 4) >> 6) * 16;
  int minimum = j < 4 ? U8(s + j + 4) & 63 : (U8(s + j + 4) >> 4) + (U8(s + j) >> 6) * 16;
  bool five = type == WeightType::kQ5_K;
  int q = U8(b + (five ? 48 : 16) + j / 2 * 32 + l) >> (j % 2 * 4) & 15;
  if (five) q += (U8(b + 16 + l) >> j & 1) * 16;
  return Half(b) * scale * q - Half(b + 2) * minimum;
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
  return IsSuperBlockType(s.type) ? SuperBlockValue(s.type, bytes + col / 256 * BlockBytes(s.type), static_cast<int>(col % 256))
                                  : BlockValue(s.type, bytes + col / 32 * BlockBytes(s.type), static_cast<int>(col % 32));
}

}  // namespace winnow
