/// What Hopper's kernel reads of a union of key sets, found without looking at single pairs.
///
/// Queries come in halves of 64, which see the same listed columns: a tile is one half of two heads that share their sets, or
/// two halves of one. For each tile there is a list of blocks of 64 keys, each with the columns that the sets name for a half;
/// diagonals are looked up by distance. Columns that stand alone in blocks that a tile does not read are read from a copy in
/// which they lie side by side.
#ifndef WINNOW_CUDA_KEY_PLAN_CUH
#define WINNOW_CUDA_KEY_PLAN_CUH

#include "key_sets.cuh"

namespace winnow {

/// Entry of a list: a block, and what of it is seen. Nothing: it fills up a step.
constexpr uint32_t kBlockNothing = 1u << 31, kBlockPacked = 1u << 30, kBlockMasked = 1u << 29, kBlockDiagonals = 1u << 28;
constexpr uint32_t kBlockNumber = (1u << 24) - 1;
/// A list of columns has at most so many blocks of packed ones; a block with so many columns of its own is read as it lies.
constexpr int kMaxPackedBlocks = 64, kManyColumns = 32;

struct KeyPlan {
  uint32_t* codes;  ///< [groups * tiles, capacity]
  int32_t* lens;    ///< [groups * tiles]
  uint64_t* masks;  ///< [groups * tiles, capacity, halves]: columns named for a half, of masked blocks
  int32_t* ranks;   ///< [lists, slot_words + 1]: diagonals in the words ahead
  int32_t* pairs;   ///< [lists, distances]: pairs on diagonals of a half and a block so far apart, and kEveryPair
  uint32_t* is_packed;    ///< [groups, ceil(blocks / 32)]
  int32_t* packed_slots;  ///< [groups, 64 * packed_blocks]
  int32_t* packed_lens;   ///< [groups]
  char* packed;           ///< [groups, packed_blocks] pages
  int32_t groups, tiles, halves, blocks, capacity, packed_blocks, distances;
  int64_t words;  ///< of workspace
  WN_HD int32_t tile_tokens() const { return 64 * halves; }
  WN_HD int32_t block_words() const { return ceil_div(blocks, 32); }
};

/// Lays a plan out behind `space`; null: only its size is wanted.
KeyPlan lay_out_plan(const KeySetsArgs& a, uint32_t* space);
/// Fills it from the words that launch_key_sets left, and counts pairs.
WnStatus launch_key_plan(const KeySetsArgs& a, const KeyPlan& plan, cudaStream_t stream);
/// Attention over it by Hopper's kernel.
WnStatus attend_plan(const KeySetsArgs& a, const KeyPlan& plan, cudaStream_t stream);

}  // namespace winnow

#endif
