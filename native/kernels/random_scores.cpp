#include "random_scores.h"

#include <algorithm>

#include "pool.h"

namespace winnow {
namespace {

/// Two rounds of the splitmix64 finaliser: one alone leaves neighbouring streams correlated.
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

void RandomScores(const RandomScoresParams& p) {
  const int64_t per_row = p.num_kv_heads * p.length;
  if (p.rows == 0) return;
  Pool::Instance().ParallelFor(p.num_kv_heads, [&](int64_t head) {
    const uint64_t stream = Mix(p.seed * 0x9e3779b97f4a7c15ull + (p.layer << 20 | static_cast<uint64_t>(head)) + 1);
    for (int64_t slot = 0; slot < p.length; slot++) {
      const uint64_t hash = Mix(stream + static_cast<uint64_t>(slot + 1) * 0x9e3779b97f4a7c15ull);
      p.out[head * p.length + slot] = static_cast<float>(hash >> 40) * 0x1p-24f;
    }
  });
  for (int64_t row = 1; row < p.rows; row++) std::copy(p.out, p.out + per_row, p.out + row * per_row);
}

}  // namespace winnow
