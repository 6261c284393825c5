#include "top_k.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "pool.h"

namespace winnow {
namespace {

/// Sorts descending by score when compared ascending.
uint32_t DescendingKey(float score) {
  const float plain = score + 0.0f;
  uint32_t bits;
  std::memcpy(&bits, &plain, 4);
  return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

bool IsEntry(float score) { return score > -INFINITY; }

/// Valid entries of a list that are protected: the first ones ascending, the last ones from the end.
struct Protected {
  std::vector<int64_t> first;
  std::vector<int64_t> last;
};

Protected FindProtected(const float* scores, int64_t length, int64_t first, int64_t last) {
  Protected found;
  int64_t begin = 0;
  for (; begin < length && static_cast<int64_t>(found.first.size()) < first; begin++) {
    if (IsEntry(scores[begin])) found.first.push_back(begin);
  }
  for (int64_t i = length - 1; i >= begin && static_cast<int64_t>(found.last.size()) < last; i--) {
    if (IsEntry(scores[i])) found.last.push_back(i);
  }
  return found;
}

/// Takes `count` of the entries of `lists` consecutive lists; returns flat indices (list * length + i), ascending.
std::vector<int64_t> TakeLargest(const TopKParams& p, const float* scores, int64_t lists, int64_t count) {
  std::vector<int64_t> taken;
  std::vector<Protected> found(lists);
  std::vector<uint8_t> is_taken;
  if (p.protect_first > 0 || p.protect_last > 0) {
    is_taken.assign(static_cast<size_t>(lists * p.length), 0);
    for (int64_t list = 0; list < lists; list++) {
      found[list] = FindProtected(scores + list * p.length, p.length, p.protect_first, p.protect_last);
    }
    for (auto part : {&Protected::first, &Protected::last}) {
      size_t deepest = 0;
      for (const Protected& each : found) deepest = std::max(deepest, (each.*part).size());
      for (size_t rank = 0; rank < deepest; rank++) {
        for (int64_t list = 0; list < lists; list++) {
          if (rank >= (found[list].*part).size() || static_cast<int64_t>(taken.size()) >= count) continue;
          taken.push_back(list * p.length + (found[list].*part)[rank]);
          is_taken[taken.back()] = 1;
        }
      }
    }
  }
  const int64_t wanted = count - static_cast<int64_t>(taken.size());
  if (wanted > 0) {
    std::vector<uint64_t> keys;
    keys.reserve(static_cast<size_t>(lists * p.length));
    for (int64_t i = 0; i < lists * p.length; i++) {
      if (!IsEntry(scores[i]) || (!is_taken.empty() && is_taken[i])) continue;
      keys.push_back(uint64_t{DescendingKey(scores[i])} << 32 | static_cast<uint64_t>(i));
    }
    const int64_t take = std::min<int64_t>(wanted, static_cast<int64_t>(keys.size()));
    if (take < static_cast<int64_t>(keys.size())) std::nth_element(keys.begin(), keys.begin() + take, keys.end());
    for (int64_t i = 0; i < take; i++) taken.push_back(static_cast<int64_t>(keys[i] & 0xffffffffu));
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace

int64_t TopKResult::MaxLen() const {
  int64_t longest = 0;
  for (size_t i = 0; i + 1 < offsets.size(); i++) longest = std::max(longest, offsets[i + 1] - offsets[i]);
  return longest;
}

Status TopK(const TopKParams& p, TopKResult* out) {
  const int64_t all = p.rows * p.lists;
  const int64_t lists = p.flatten == Flatten::kNone ? 1 : p.flatten == Flatten::kLists ? p.lists : all;
  const int64_t budgets = lists == 0 ? 0 : all / lists;
  if (lists * p.length >= int64_t{1} << 32) {
    return Status::Shape("topK.scores", "fewer than 4294967296 entries a budget", std::to_string(lists * p.length));
  }
  if (p.protect_first < 0 || p.protect_last < 0) {
    return Status::Shape("topK.protect", "0 or more entries", std::to_string(std::min(p.protect_first, p.protect_last)));
  }
  for (int64_t i = 0; i < budgets; i++) {
    if (p.counts[i] < 0) return Status::Shape("topK.counts", "0 or more entries", std::to_string(p.counts[i]));
  }
  std::vector<std::vector<int64_t>> taken(budgets);
  Pool::Instance().ParallelFor(budgets, [&](int64_t i) {
    taken[i] = TakeLargest(p, p.scores + i * lists * p.length, lists, p.counts[i]);
  });
  out->offsets.assign(1, 0);
  out->values.clear();
  for (int64_t i = 0; i < budgets; i++) {
    auto next = taken[i].begin();
    for (int64_t list = 0; list < lists; list++) {
      for (; next != taken[i].end() && *next / p.length == list; ++next) {
        out->values.push_back(static_cast<int32_t>(*next % p.length));
      }
      out->offsets.push_back(static_cast<int64_t>(out->values.size()));
    }
  }
  return Status();
}

}  // namespace winnow
