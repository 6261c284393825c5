#include "list_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "exact_log.h"
#include "exp.h"
#include "pool.h"

namespace winnow {
namespace {

bool IsEntry(float x) { return x > -INFINITY; }

/// Sorts descending when compared ascending.
uint32_t DescendingKey(float score) {
  const float plain = score + 0.0f;
  uint32_t bits;
  std::memcpy(&bits, &plain, 4);
  return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

std::vector<int32_t> TakeMass(const TopPParams& p, const float* weights) {
  std::vector<int32_t> valid;
  double total = 0;
  for (int64_t i = 0; i < p.length; i++) {
    if (!IsEntry(weights[i])) continue;
    valid.push_back(static_cast<int32_t>(i));
    total += weights[i];
  }
  const auto n = static_cast<int64_t>(valid.size());
  std::vector<int32_t> taken;
  std::vector<uint64_t> keys;
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    if (k < p.protect_first || n - 1 - k < p.protect_last) {
      taken.push_back(valid[k]);
      sum += weights[valid[k]];
    } else {
      keys.push_back(uint64_t{DescendingKey(weights[valid[k]])} << 32 | static_cast<uint32_t>(valid[k]));
    }
  }
  // Few entries hold most of a mass: a heap gives them in order without sorting the rest.
  std::make_heap(keys.begin(), keys.end(), std::greater<>());
  while (!keys.empty() && sum < p.mass * total) {
    std::pop_heap(keys.begin(), keys.end(), std::greater<>());
    taken.push_back(static_cast<int32_t>(keys.back() & 0xffffffffu));
    keys.pop_back();
    sum += weights[taken.back()];
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace

void SoftmaxLists(const Context& context, const float* x, int64_t lists, int64_t length, float* out) {
  const ExpKernels& kernels = Kernels<ExpKernels>(context.isa);
  Pool::Instance().ParallelRanges(lists, std::max<int64_t>(1, 4096 / std::max<int64_t>(1, length)), [&](int64_t begin, int64_t end) {
    for (int64_t list = begin; list < end; list++) {
      const float* from = x + list * length;
      float* to = out + list * length;
      float largest = -INFINITY;
      for (int64_t i = 0; i < length; i++) largest = from[i] > largest ? from[i] : largest;
      if (largest == -INFINITY) {
        std::copy(from, from + length, to);
        continue;
      }
      std::vector<uint8_t> is_missing(length);
      for (int64_t i = 0; i < length; i++) is_missing[i] = from[i] == -INFINITY;
      for (int64_t i = 0; i < length; i++) to[i] = from[i] - largest;
      kernels.values(to, length, to);
      double sum = 0;
      for (int64_t i = 0; i < length; i++) sum += to[i];
      const auto scale = static_cast<float>(1.0 / sum);
      for (int64_t i = 0; i < length; i++) to[i] = is_missing[i] ? -INFINITY : to[i] * scale;
    }
  });
}

Status EntropyLists(const float* x, int64_t lists, int64_t length, float* out) {
  for (int64_t i = 0; i < lists * length; i++) {
    if (x[i] < 0.0f && IsEntry(x[i])) return Status::Shape("entropyLists.x", "weights of 0 or more", std::to_string(x[i]));
  }
  Pool::Instance().ParallelRanges(lists, 1, [&](int64_t begin, int64_t end) {
    for (int64_t list = begin; list < end; list++) {
      // H = ln S - (sum x ln x) / S, S the sum of the weights.
      double sum = 0;
      double weighted = 0;
      for (int64_t i = list * length; i < (list + 1) * length; i++) {
        if (!(x[i] > 0.0f)) continue;
        sum += x[i];
        weighted += static_cast<double>(x[i]) * ExactLog(x[i]);
      }
      out[list] = sum > 0 ? static_cast<float>(std::max(0.0, ExactLog(static_cast<float>(sum)) - weighted / sum)) : 0.0f;
    }
  });
  return Status();
}

void ArgmaxLists(const float* x, int64_t lists, int64_t length, int32_t* out) {
  Pool::Instance().ParallelRanges(lists, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, length)), [&](int64_t begin, int64_t end) {
    for (int64_t list = begin; list < end; list++) {
      float best = -INFINITY;
      out[list] = -1;
      for (int64_t i = 0; i < length; i++) {
        if (x[list * length + i] > best) {
          best = x[list * length + i];
          out[list] = static_cast<int32_t>(i);
        }
      }
    }
  });
}

Status TopP(const TopPParams& p, TopKResult* out) {
  if (!(p.mass >= 0 && p.mass <= 1)) return Status::Shape("topP.mass", "a share in [0, 1]", std::to_string(p.mass));
  for (int64_t i = 0; i < p.lists * p.length; i++) {
    if (p.weights[i] < 0.0f && IsEntry(p.weights[i])) return Status::Shape("topP.weights", "weights of 0 or more", std::to_string(p.weights[i]));
  }
  std::vector<std::vector<int32_t>> taken(p.lists);
  Pool::Instance().ParallelFor(p.lists, [&](int64_t list) { taken[list] = TakeMass(p, p.weights + list * p.length); });
  out->offsets.assign(1, 0);
  out->values.clear();
  for (const auto& list : taken) {
    out->values.insert(out->values.end(), list.begin(), list.end());
    out->offsets.push_back(static_cast<int64_t>(out->values.size()));
  }
  return Status();
}

}  // namespace winnow
