/// Which slots of a head single queries see, as bits: the part of attend_sets that knows what each kind of set means.
#pragma once

#include <vector>

#include "attend_sets.h"

namespace winnow {

/// Bits of slots, 64 a word.
using Bits = std::vector<uint64_t>;
inline int32_t WordsOf(int32_t slots) { return (slots + 63) / 64; }
inline bool HasBit(const uint64_t* bits, int32_t slot) { return (bits[slot / 64] >> (slot % 64) & 1) != 0; }
void SetRange(uint64_t* bits, int32_t begin, int32_t end);
/// Clears every bit from `end` on.
void KeepBelow(uint64_t* bits, int32_t words, int32_t end);
int64_t CountBits(const uint64_t* bits, int32_t words);
/// Index of the last bit, -1 if none.
int32_t LastBit(const uint64_t* bits, int32_t words);

/// Query heads [first_head, first_head + num_heads) of one row, which share a KV head and their lists.
struct SetUnit {
  int32_t index;
  int32_t row;
  int32_t kv_head;
  int32_t first_head;
  int32_t num_heads;
  const HeadCache* head;
  int32_t first_new;  ///< slots from here on are new
};

/// Bits of one unit for the queries of one tile; kept per thread, so that a step allocates nothing.
class SetBits {
 public:
  SetBits(const AttendSetsParams& params, const SetUnit& unit);

  /// Aims at a tile whose queries share their lists; false bits of IsUniform mean that For() must be asked per token.
  void Aim(int32_t first_token);
  /// Every query of the tile sees the same slots but for those after its own.
  bool IsUniform() const { return is_uniform_; }
  /// Slots that the tile's queries share, before causality.
  const uint64_t* shared() const { return shared_.data(); }
  /// Slots that token t sees, causality and visibility applied.
  void For(int32_t token, uint64_t* bits);
  int32_t words() const { return words_; }
  /// Slots [0, end) may be seen by token t where uniform.
  int32_t EndOf(int32_t token) const;

 private:
  int32_t ListOf(const Lists& lists) const;
  void AddLists(const KeySet& set, int32_t block);
  void AddDiagonals(const KeySet& set, int32_t own, uint64_t* bits);
  void ApplySegments(int32_t own, uint64_t* bits);

  const AttendSetsParams& params_;
  const SetUnit& unit_;
  int32_t words_;
  bool is_uniform_;
  Bits shared_;
  Bits segment_;
  int32_t segment_of_ = -2;
};

}  // namespace winnow
