#include "support.h"

#include <algorithm>

namespace winnow::test {

size_t memory_limit = 0;

void compare(Outcome& outcome, const std::vector<double>& got, const std::vector<double>& want, double bound) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < want.size(); i++) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    size += want[i] * want[i];
  }
  const double error = size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
  outcome.error = std::isnan(error) ? error : std::max(outcome.error, error);
  outcome.bound = bound;
  if (!(error <= bound) && outcome.status == "ok") outcome.status = "incorrect";
}

void compare_scores(Outcome& outcome, const std::vector<float>& got, const std::vector<double>& want, double bound) {
  auto wide = widen(got), wanted = want;
  for (size_t i = 0; i < wanted.size(); i++) {
    if (wanted[i] != -INFINITY && wide[i] != -INFINITY) continue;
    if (wide[i] != wanted[i]) {
      outcome.status = "incorrect";
      outcome.detail = "-inf in one of the two at " + std::to_string(i);
    }
    wide[i] = wanted[i] = 0;
  }
  compare(outcome, wide, wanted, bound);
}

void compare_lse(Outcome& outcome, const std::vector<float>& got, const std::vector<double>& want, double bound) {
  for (size_t i = 0; i < want.size(); i++) {
    const bool both_empty = std::isinf(want[i]) && want[i] < 0 && std::isinf(got[i]) && got[i] < 0;
    const double error = both_empty ? 0 : std::fabs(got[i] - want[i]);
    outcome.lse_error = std::isnan(error) ? error : std::max(outcome.lse_error, error);
    if (!(error <= bound)) {
      if (outcome.status == "ok") outcome.status = "incorrect";
      outcome.detail = "lse of row " + std::to_string(i);
      return;
    }
  }
}

PagedCache::PagedCache(uint32_t seed, const std::vector<int32_t>& lens, int dim, int spare_pages) : head_dim(dim) {
  int used = 0;
  for (int32_t len : lens) {
    used += (len + 63) / 64;
    stride = std::max(stride, (len + 63) / 64);
  }
  stride = std::max(stride, 1) + 1;
  num_pages = used + spare_pages;
  pages.assign(static_cast<size_t>(num_pages) * 128 * head_dim, to_bf16(3e4));
  table.assign(lens.size() * stride, 0);
  std::vector<int32_t> order(num_pages);
  for (int i = 0; i < num_pages; i++) order[i] = i;
  for (int i = num_pages - 1; i > 0; i--) std::swap(order[i], order[hash_word(seed + 77, i) % (i + 1)]);
  int next = 0;
  uint64_t counter = 0;
  for (size_t segment = 0; segment < lens.size(); segment++)
    for (int token = 0; token < lens[segment]; token++) {
      if (token % 64 == 0) table[segment * stride + token / 64] = order[next++];
      const int64_t page = table[segment * stride + token / 64];
      for (int part = 0; part < 2; part++)
        for (int d = 0; d < head_dim; d++)
          pages[(page * 128 + 64 * part + token % 64) * head_dim + d] = to_bf16(normal(seed, counter++));
    }
}

}  // namespace winnow::test
