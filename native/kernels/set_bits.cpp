#include "set_bits.h"

#include <algorithm>
#include <bit>

namespace winnow {

void SetRange(uint64_t* bits, int32_t begin, int32_t end) {
  if (begin >= end) return;
  const int32_t first = begin / 64;
  const int32_t last = (end - 1) / 64;
  const uint64_t head = ~uint64_t{0} << (begin % 64);
  const uint64_t tail = ~uint64_t{0} >> (63 - (end - 1) % 64);
  if (first == last) {
    bits[first] |= head & tail;
    return;
  }
  bits[first] |= head;
  for (int32_t w = first + 1; w < last; w++) bits[w] = ~uint64_t{0};
  bits[last] |= tail;
}

void KeepBelow(uint64_t* bits, int32_t words, int32_t end) {
  if (end <= 0) {
    std::fill(bits, bits + words, 0);
    return;
  }
  if (end >= words * 64) return;
  if (end % 64 != 0) bits[end / 64] &= ~uint64_t{0} >> (64 - end % 64);
  std::fill(bits + (end + 63) / 64, bits + words, 0);
}

int64_t CountBits(const uint64_t* bits, int32_t words) {
  int64_t count = 0;
  for (int32_t w = 0; w < words; w++) count += std::popcount(bits[w]);
  return count;
}

int32_t LastBit(const uint64_t* bits, int32_t words) {
  for (int32_t w = words - 1; w >= 0; w--) {
    if (bits[w] != 0) return w * 64 + 63 - std::countl_zero(bits[w]);
  }
  return -1;
}

SetBits::SetBits(const AttendSetsParams& params, const SetUnit& unit)
    : params_(params), unit_(unit), words_(WordsOf(unit.head->len)), shared_(words_) {
  is_uniform_ = params.visible != Visible::kTree && params.visible != Visible::kSegments;
  for (int32_t i = 0; i < params.num_sets; i++) {
    const SetKind kind = params.sets[i].kind;
    if (kind == SetKind::kWindow || kind == SetKind::kVerticalSlash) is_uniform_ = false;
  }
}

int32_t SetBits::ListOf(const Lists& lists) const {
  if (lists.per_row == 1) return 0;
  return lists.per_row == params_.num_query_heads ? unit_.first_head : unit_.kv_head;
}

void SetBits::Aim(int32_t first_token) {
  std::fill(shared_.begin(), shared_.end(), 0);
  for (int32_t i = 0; i < params_.num_sets; i++) {
    const KeySet& set = params_.sets[i];
    if (set.kind == SetKind::kAll) SetRange(shared_.data(), 0, unit_.head->len);
    if (set.kind == SetKind::kWindow) SetRange(shared_.data(), 0, std::min(set.sink, unit_.head->len));
    if (set.lists.values != nullptr) AddLists(set, set.query_block == 0 ? 0 : first_token / set.query_block);
  }
}

void SetBits::AddLists(const KeySet& set, int32_t block) {
  const int32_t len = unit_.head->len;
  const int64_t at = set.lists.At(unit_.row, ListOf(set.lists), block);
  const int32_t entries = set.lists.lens[at];
  if (entries < 0) return SetRange(shared_.data(), 0, len);
  const int32_t* values = set.lists.values + at * set.lists.max_len;
  for (int32_t i = 0; i < entries; i++) {
    if (set.kind == SetKind::kPages) {
      const int64_t begin = int64_t{values[i]} * set.page_size;
      SetRange(shared_.data(), static_cast<int32_t>(std::min<int64_t>(begin, len)),
               static_cast<int32_t>(std::min<int64_t>(begin + set.page_size, len)));
    } else {
      shared_[values[i] / 64] |= uint64_t{1} << (values[i] % 64);
    }
  }
  if (set.with_new && entries > 0) SetRange(shared_.data(), unit_.first_new, len);
}

void SetBits::AddDiagonals(const KeySet& set, int32_t own, uint64_t* bits) {
  const int64_t at = set.diagonals.At(unit_.row, ListOf(set.diagonals), 0);
  const int32_t entries = set.diagonals.lens[at];
  if (entries < 0) return SetRange(bits, 0, own + 1);
  const int32_t* values = set.diagonals.values + at * set.diagonals.max_len;
  int32_t i = 0;
  while (i < entries) {
    // Neighbouring diagonals are one range of slots.
    int32_t end = i + 1;
    while (end < entries && values[end] == values[end - 1] + 1) end++;
    SetRange(bits, std::max(0, own - values[end - 1]), std::max(0, own - values[i] + 1));
    i = end;
  }
}

int32_t SetBits::EndOf(int32_t token) const {
  const int32_t len = unit_.head->len;
  if (params_.old_only) return unit_.first_new;
  if (params_.visible == Visible::kBidirectional || params_.visible == Visible::kEvery) return len;
  return unit_.first_new + token + 1;
}

void SetBits::ApplySegments(int32_t own, uint64_t* bits) {
  const auto segment_at = [&](int32_t slot) {
    const int32_t position = unit_.head->pages[slot / kPageSize]->positions[slot % kPageSize];
    return position >= 0 && position < params_.num_segments ? params_.segments[position] : -1;
  };
  const int32_t wanted = segment_at(own);
  if (wanted < 0) return;
  if (segment_of_ != wanted) {
    segment_.assign(words_, 0);
    for (int32_t slot = 0; slot < unit_.head->len; slot++) {
      const int32_t segment = segment_at(slot);
      if (segment < 0 || segment == wanted) segment_[slot / 64] |= uint64_t{1} << (slot % 64);
    }
    segment_of_ = wanted;
  }
  for (int32_t w = 0; w < words_; w++) bits[w] &= segment_[w];
}

void SetBits::For(int32_t token, uint64_t* bits) {
  std::copy(shared_.begin(), shared_.end(), bits);
  const int32_t own = unit_.first_new + token;
  for (int32_t i = 0; i < params_.num_sets && !is_uniform_; i++) {
    const KeySet& set = params_.sets[i];
    if (set.kind == SetKind::kWindow) SetRange(bits, std::max(0, own - set.recent + 1), own + 1);
    if (set.kind == SetKind::kVerticalSlash) AddDiagonals(set, own, bits);
  }
  if (params_.visible == Visible::kTree && !params_.old_only) {
    const int32_t* parents = params_.parents + int64_t{unit_.row} * params_.query_len;
    Bits& path = segment_;
    path.assign(words_, 0);
    SetRange(path.data(), 0, unit_.first_new);
    for (int32_t t = token; t >= 0; t = parents[t]) SetRange(path.data(), unit_.first_new + t, unit_.first_new + t + 1);
    for (int32_t w = 0; w < words_; w++) bits[w] &= path[w];
    return;
  }
  KeepBelow(bits, words_, EndOf(token));
  if (params_.visible == Visible::kSegments) ApplySegments(own, bits);
}

}  // namespace winnow
