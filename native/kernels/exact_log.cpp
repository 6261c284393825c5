#include "exact_log.h"

#include <cstdint>
#include <cstring>

namespace winnow {

float ExactLog(float x) {
  // x = f * 2^e with f in [sqrt(1/2), sqrt(2)); log f = 2 atanh(s), s = (f - 1) / (f + 1), in double without contraction.
  uint64_t bits;
  double wide = x;
  std::memcpy(&bits, &wide, 8);
  int32_t exponent = static_cast<int32_t>(bits >> 52 & 2047) - 1023;
  bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
  double f;
  std::memcpy(&f, &bits, 8);
  if (f > 1.4142135623730951) {
    f *= 0.5;
    exponent++;
  }
  const double s = (f - 1.0) / (f + 1.0);
  const double s2 = s * s;
  double series = 1.0 / 15.0;
  for (int k = 13; k >= 1; k -= 2) series = series * s2 + 1.0 / k;
  return static_cast<float>(2.0 * s * series + exponent * 0.6931471805599453);
}

}  // namespace winnow
