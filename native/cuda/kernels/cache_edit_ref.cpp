#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "reference.h"

namespace winnow {
namespace {

std::vector<double> row_of(const WnCacheView& cache, int64_t head, int slot, int what) {
  std::vector<double> row(static_cast<size_t>(cache.head_dim));
  for (int c = 0; c < cache.head_dim; c++) row[static_cast<size_t>(c)] = bf16_value(cache.pages, arena_element(cache, arena_slot(cache, head, slot), what) + c);
  return row;
}
void put_row(const WnCacheView& cache, int64_t head, int slot, int what, const std::vector<double>& row) {
  for (int c = 0; c < cache.head_dim; c++)
    static_cast<uint16_t*>(cache.pages)[arena_element(cache, arena_slot(cache, head, slot), what) + c] = to_bf16(row[static_cast<size_t>(c)]);
}
double norm_of(const std::vector<double>& row) {
  double sum = 0;
  for (double x : row) sum += x * x;
  return std::sqrt(sum);
}

struct Weighted {
  std::vector<double> row;
  double weight;
};

std::vector<double> sum_of(const std::vector<Weighted>& parts) {
  std::vector<double> sum(parts[0].row.size(), 0);
  for (const Weighted& part : parts)
    for (size_t c = 0; c < sum.size(); c++) sum[c] += part.weight * part.row[c];
  return sum;
}
std::vector<double> mean_of(std::vector<Weighted> parts, bool of_directions) {
  double total = 0, norms = 0;
  for (Weighted& part : parts) {
    total += part.weight;
    const double norm = norm_of(part.row);
    norms += part.weight * norm;
    for (double& x : part.row)
      if (of_directions && norm > 0) x /= norm;
  }
  std::vector<double> mean = sum_of(parts);
  const double length = norm_of(mean);
  for (double& x : mean) x = !of_directions ? x / total : length > 0 ? x / length * norms / total : 0;
  return mean;
}

void merge_into(const WnCacheMergeParams& p, int64_t head, int into, const std::vector<int>& entries, const std::vector<int>& given) {
  const WnCacheView& cache = p.cache;
  const int64_t first = head * p.stride, target = arena_slot(cache, head, into);
  const double count = cache.counts[target];
  for (int what = 0; what < 2; what++) {
    const bool adds = what == 1 && p.values == WN_MERGE_VALUES_ADD;
    std::vector<Weighted> parts = {{row_of(cache, head, into, what), adds ? 1 : count}};
    for (int i : entries) parts.push_back({row_of(cache, head, p.from[first + i], what), p.weight[first + i]});
    if (adds) put_row(cache, head, into, what, sum_of(parts));
    else if (what == 1 || p.keys != WN_MERGE_KEYS_NONE) put_row(cache, head, into, what, mean_of(parts, what == 0 && p.keys == WN_MERGE_KEYS_DIRECTION));
  }
  for (int i : entries) cache.counts[target] += given[static_cast<size_t>(i)];
  if (p.bias == WN_MERGE_BIAS_LOG_COUNT)
    cache.log_bias[target] = cache.counts[target] > 0 ? static_cast<float>(std::log(cache.counts[target])) : 0.0f;
}

bool is_frozen(const WnCacheView& cache, int64_t head, int slot, int32_t frozen_page) {
  return arena_slot(cache, head, slot) / 64 == frozen_page;
}

}  // namespace

void cache_merge_check_ref(const WnCacheMergeParams& p) {
  for (int32_t head = 0; head < p.cache.num_kv_heads; head++) {
    const int64_t first = int64_t{head} * p.stride;
    const int len = p.cache.kv_lens[head], count = p.lens[head];
    p.report[head] = count;
    int32_t& fault = p.report[p.cache.num_kv_heads + head];
    fault = count < -1 || count > p.stride ? WN_FAULT_LENS : -1;
    for (int i = 0; fault < 0 && i < count; i++) {
      const int from = p.from[first + i], into = p.into[first + i];
      const bool is_source = std::find(p.from + first, p.from + first + count, into) != p.from + first + count;
      const float weight = p.weight[first + i];
      int kind = -1;
      if (from < (i == 0 ? 0 : p.from[first + i - 1]) || from >= len) kind = WN_FAULT_SLOT;
      else if (into < -1 || into >= len) kind = WN_FAULT_TARGET;
      else if (!(weight >= 0 && weight < INFINITY)) kind = WN_FAULT_AMOUNT;
      else if (into >= 0 && is_source) kind = WN_FAULT_TARGET;
      if (kind >= 0) fault = i * WN_FAULT_KINDS + kind;
    }
  }
}

void cache_merge_ref(const WnCacheMergeParams& p) {
  for (int64_t head = 0; head < p.cache.num_kv_heads; head++) {
    const int64_t first = head * p.stride;
    const int count = std::max(p.lens[head], 0);
    std::vector<int> given(static_cast<size_t>(count), 0);
    for (int i = 0, source = -1; i < count; i++) {
      if (p.into[first + i] < 0 || !(p.weight[first + i] > 0)) continue;
      if (p.from[first + i] != source) given[static_cast<size_t>(i)] = p.cache.counts[arena_slot(p.cache, head, p.from[first + i])];
      source = p.from[first + i];
    }
    for (int into = 0; into < p.cache.kv_lens[head]; into++) {
      std::vector<int> entries;
      for (int i = 0; i < count; i++)
        if (p.into[first + i] == into && p.weight[first + i] > 0) entries.push_back(i);
      if (!entries.empty() && !is_frozen(p.cache, head, into, p.frozen_page)) merge_into(p, head, into, entries, given);
    }
    for (int i = 0; i < count; i++) {
      const int from = p.from[first + i];
      if (!is_frozen(p.cache, head, from, p.frozen_page)) p.cache.counts[arena_slot(p.cache, head, from)] = 0;
    }
  }
}

void cache_rotate_check_ref(const WnCacheRotateParams& p) {
  for (int32_t head = 0; head < p.cache.num_kv_heads; head++) {
    const int64_t first = int64_t{head} * p.stride;
    const bool is_all = p.lens[head] < 0;
    const int len = p.cache.kv_lens[head], count = is_all ? len : p.lens[head];
    p.report[head] = count;
    int32_t& fault = p.report[p.cache.num_kv_heads + head];
    fault = p.lens[head] < -1 || count > p.stride ? WN_FAULT_LENS : -1;
    for (int i = 0; fault < 0 && i < count; i++) {
      const int slot = is_all ? i : p.slots[first + i], before = i == 0 ? -1 : is_all ? i - 1 : p.slots[first + i - 1];
      if (slot <= before || slot < 0 || slot >= len) {
        fault = i * WN_FAULT_KINDS + WN_FAULT_SLOT;
        continue;
      }
      const int64_t delta = p.delta[first + i], position = p.cache.positions[arena_slot(p.cache, head, slot)] + delta;
      const bool fits = p.cos_sin == nullptr || std::abs(delta) < p.max_positions;
      if (!fits || position < 0 || position > INT32_MAX) fault = i * WN_FAULT_KINDS + WN_FAULT_AMOUNT;
    }
  }
}

void cache_rotate_ref(const WnCacheRotateParams& p) {
  for (int64_t head = 0; head < p.cache.num_kv_heads; head++) {
    const int count = p.lens[head] < 0 ? p.cache.kv_lens[head] : p.lens[head], half = p.rope_dims / 2;
    for (int i = 0; i < count; i++) {
      const int slot = p.lens[head] < 0 ? i : p.slots[head * p.stride + i], delta = p.delta[head * p.stride + i];
      if (is_frozen(p.cache, head, slot, p.frozen_page)) continue;
      p.cache.positions[arena_slot(p.cache, head, slot)] += delta;
      if (p.cos_sin == nullptr || delta == 0) continue;
      std::vector<double> key = row_of(p.cache, head, slot, 0);
      const float* angles = p.cos_sin + int64_t{std::abs(delta)} * p.rope_dims;
      for (int c = 0; c < half; c++) {
        const double scale = p.cos_sin[c], cosine = angles[c] / scale, sine = (delta < 0 ? -angles[half + c] : angles[half + c]) / scale;
        const double a = key[static_cast<size_t>(c)], b = key[static_cast<size_t>(half + c)];
        key[static_cast<size_t>(c)] = a * cosine - b * sine;
        key[static_cast<size_t>(half + c)] = b * cosine + a * sine;
      }
      put_row(p.cache, head, slot, 0, key);
    }
  }
}

}  // namespace winnow
