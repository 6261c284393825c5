#include "axpby.h"

#include <cmath>

#include "pool.h"

namespace winnow {

void Axpby(const float* x, float a, const float* y, float b, int64_t count, float* out) {
  Pool::Instance().ParallelRanges(count, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const float other = y == nullptr ? 0.0f : y[i];
      const bool is_missing = x[i] == -INFINITY || other == -INFINITY;
      const float sum = y == nullptr ? a * x[i] : a * x[i] + b * other;
      out[i] = is_missing ? -INFINITY : sum;
    }
  });
}

void ReduceHeads(const float* scores, int64_t rows, int64_t lists, int64_t length, HeadReduce how, float* out) {
  if (lists == 0) return;
  const float share = 1.0f / static_cast<float>(lists);
  Pool::Instance().ParallelRanges(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      float* to = out + row * length;
      for (int64_t list = 0; list < lists; list++) {
        const float* from = scores + (row * lists + list) * length;
        for (int64_t i = 0; i < length; i++) {
          if (list == 0) to[i] = from[i];
          else if (how == HeadReduce::kMax) to[i] = from[i] > to[i] ? from[i] : to[i];
          else to[i] += from[i];
        }
      }
      for (int64_t i = 0; how == HeadReduce::kMean && i < length; i++) to[i] *= share;
    }
  });
}

}  // namespace winnow
