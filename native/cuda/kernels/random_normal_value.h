#ifndef WINNOW_CUDA_RANDOM_NORMAL_VALUE_H
#define WINNOW_CUDA_RANDOM_NORMAL_VALUE_H

#include "index.h"

namespace winnow {

WN_HD constexpr uint64_t mixed_word(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// Value i of stream `seed`, times `deviation`. Eight uniforms of 16 bits have variance 8 (2^32 - 1) / 12.
WN_HD constexpr float random_normal_value(uint32_t seed, uint64_t i, float deviation) {
  int sum = -8 * 32768 + 4;  // their mean is 32767.5
  for (uint64_t word = 0; word < 2; word++) {
    const uint64_t bits = mixed_word((2 * i + word + 1) * 0x9e3779b97f4a7c15ull + mixed_word(seed + 0x2545f4914f6cdd1dull));
    sum += static_cast<int>(bits & 0xffff) + static_cast<int>(bits >> 16 & 0xffff) + static_cast<int>(bits >> 32 & 0xffff) +
           static_cast<int>(bits >> 48);
  }
  return static_cast<float>(sum) * (1.0f / 53509.92f) * deviation;
}

}  // namespace winnow

#endif
