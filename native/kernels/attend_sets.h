/// Attention of query_len new queries of each row over a union of key sets: what an attention plan can say beyond one list.
///
///   out[r, t, h] = softmax(softmax_scale * q[r, t, h] . K[S]^T + bias[S]) . V[S],  S = S(r, t, h)
///
/// With n slots in the head and own = n - query_len + t, a slot s is in S where a set names it and it may be seen:
///   kAll            every s
///   kWindow         s < sink or s > own - recent
///   kSlots, kPages  listed slots, or pages of page_size slots; with_new adds the new slots unless the list has length 0
///   kVerticalSlash  s listed as a column, or own - s listed as a diagonal
/// and it may be seen where
///   kCausal         s <= own
///   kBidirectional  always
///   kTree           s is old, or the slot of t itself or of one of its ancestors among the new tokens
///   kSegments       s <= own, and the segments of both positions are equal or one of them is -1
///   kEvery          always; the queries have no slots of their own (synthetic rows)
///
/// Lists      values [rows, L, (B,) max_len] ascending, lens [rows, L, (B)]: -1 everything, 0 nothing; L = 1, num_kv_heads or
///            num_query_heads; B lists one behind the other serve query_block queries each, B = 1 all
/// Positions  kKeep: as cached. kCompact: key i of the list (ascending) stands at position i, query t behind the old ones.
///            kClamp: a distance counts as at most `clamp`. Both rotate what is read by cos_sin [max_positions, rope_dims];
///            keys_rotated false: the cache holds keys before RoPE, and they are rotated here in every case.
/// Shapes     q, out, lse as in attend_decode.h; out is f32 with out_f32
///            bias   [rows, bias_heads, bias_width]  f32 in nats by slot, bias_heads 1, H or Hq; slots beyond it have none.
///                   bias_by_entry: by entry of the only set, a kSlots one with bias_heads lists
///            parents [rows, query_len] int32, parent before child, -1 a root;  segments [num_segments] int32 by position
///            counts [rows, num_kv_heads] int64: entries read, each once per list that reads it;  seen [rows, H, seen_width]
///            uint8, 1 where any query reads the slot; both null when not wanted
/// Limits     kCompact needs one set for all queries of a step; rotating needs rope_dims <= head_dim and slots of their own
/// Error      f32 relative RMS <= 2e-6 (rotating: 1e-5), bf16 <= 6e-3 (1.2e-2); lse -inf and out 0 where nothing is seen
/// Numerics   a query's bits depend neither on other rows nor on threads; f32: the same on every instruction set; sets that
///            name every slot give the bits of attend_decode and attend_prefill. Where all queries see the same slots up to
///            their own, they depend on no other query either; else on those of the same 64 slots, within the error bound
/// Cost       pairs in panels of 64 entries that a group of 6 rows shares; a mask of n bits a query where queries differ
#pragma once

#include "attend_decode.h"

namespace winnow {

enum class SetKind : int32_t { kAll, kWindow, kSlots, kPages, kVerticalSlash };
enum class Visible : int32_t { kCausal, kBidirectional, kTree, kSegments, kEvery };
enum class PositionRule : int32_t { kKeep, kCompact, kClamp };

struct Lists {
  const int32_t* values = nullptr;
  const int32_t* lens = nullptr;
  int32_t per_row = 1;  ///< L
  int32_t blocks = 1;   ///< B
  int32_t max_len = 0;

  int64_t At(int32_t row, int32_t list, int32_t block) const { return (int64_t{row} * per_row + list) * blocks + block; }
};

struct KeySet {
  SetKind kind = SetKind::kAll;
  Lists lists;
  Lists diagonals;
  bool with_new = false;
  int32_t page_size = 0;
  int32_t query_block = 0;  ///< 0: one list for all queries
  int32_t sink = 0;
  int32_t recent = 0;
};

struct AttendSetsParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t num_query_heads;
  int32_t query_len;
  const void* q;
  float softmax_scale;
  float soft_cap;
  int32_t sliding_window;
  const KeySet* sets;
  int32_t num_sets;
  /// Query heads that attend, ascending; null = all. The others, and queries that `queries` leaves out, give 0 and -inf.
  const int32_t* heads;
  int32_t num_heads;
  Lists queries;  ///< values null: every query; else listed tokens of the step
  Visible visible;
  const int32_t* parents;
  const int32_t* segments;
  int32_t num_segments;
  bool old_only;  ///< new slots are left out (another part of the plan reads them)
  const float* bias;
  int32_t bias_heads;
  int64_t bias_width;
  bool bias_by_entry;
  PositionRule positions;
  int32_t clamp;
  const float* cos_sin;
  int32_t rope_dims;
  int64_t max_positions;
  bool keys_rotated;
  void* out;
  bool out_f32;
  float* lse;
  int64_t* counts;
  uint8_t* seen;
  int64_t seen_width;
};

/// `pairs` (may be null): query-key pairs over all rows, query heads and tokens; a sliding window is not taken off.
Status AttendSets(const Context& context, const AttendSetsParams& params, int64_t* pairs);

/// The same in fp64 from the definition, one pair at a time; counts, seen and pairs too.
void AttendSetsRef(const AttendSetsParams& params, double* out, double* lse, int64_t* pairs);

}  // namespace winnow
