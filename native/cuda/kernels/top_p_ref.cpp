#include <algorithm>
#include <cmath>

#include "reference.h"

namespace winnow {
namespace {

std::vector<int32_t> take_mass(const WnTopPParams& p, const float* weights) {
  std::vector<int32_t> valid, taken;
  double total = 0, sum = 0;
  for (int32_t i = 0; i < p.length; i++) {
    if (!(weights[i] > -INFINITY)) continue;
    valid.push_back(i);
    total += weights[i];
  }
  const auto count = static_cast<int64_t>(valid.size());
  std::vector<int32_t> rest;
  for (int64_t k = 0; k < count; k++) {
    const bool is_protected = k < p.protect_first || count - 1 - k < p.protect_last;
    (is_protected ? taken : rest).push_back(valid[static_cast<size_t>(k)]);
    if (is_protected) sum += weights[valid[static_cast<size_t>(k)]];
  }
  std::stable_sort(rest.begin(), rest.end(), [&](int32_t a, int32_t b) { return weights[a] > weights[b]; });
  for (size_t next = 0; next < rest.size() && sum < p.mass * total; next++) {
    taken.push_back(rest[next]);
    sum += weights[rest[next]];
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace

void top_p_ref(const WnTopPParams& p, int32_t* indices, int32_t* lens) {
  for (int64_t list = 0; list < p.num_lists; list++) {
    const float* weights = p.weights + list * p.length;
    const bool is_refused = std::any_of(weights, weights + p.length, [](float w) { return w < 0 && w > -INFINITY; });
    const std::vector<int32_t> taken = is_refused ? std::vector<int32_t>() : take_mass(p, weights);
    std::fill(indices + list * p.length, indices + (list + 1) * p.length, -1);
    std::copy(taken.begin(), taken.end(), indices + list * p.length);
    lens[list] = is_refused ? -1 : static_cast<int32_t>(taken.size());
  }
}

}  // namespace winnow
