#ifndef WINNOW_CUDA_ATTEND_SETS_H
#define WINNOW_CUDA_ATTEND_SETS_H

#include "cache_view.h"

/// What a key set names; the union of the sets of a call counts a slot once.
enum { WN_SET_ALL = 0, WN_SET_WINDOW = 1, WN_SET_SLOTS = 2, WN_SET_PAGES = 3, WN_SET_VERTICAL_SLASH = 4 };
/// Which slots may be seen at all.
enum { WN_VISIBLE_CAUSAL = 0, WN_VISIBLE_ALL = 1, WN_VISIBLE_TREE = 2, WN_VISIBLE_SEGMENTS = 3, WN_VISIBLE_EVERY = 4 };
/// Where read keys stand.
enum { WN_POSITIONS_KEEP = 0, WN_POSITIONS_COMPACT = 1, WN_POSITIONS_CLAMP = 2 };
/// What a call found wrong, as bits of results[1].
enum { WN_SETS_BAD_LIST = 1, WN_SETS_BAD_TREE = 2, WN_SETS_UNEVEN = 4, WN_SETS_BAD_POSITION = 8 };
enum { WN_MAX_KEY_SETS = 8, WN_MAX_SETS_HEADS = 512 };

/// values [rows, per_row, blocks, max_len] int32 ascending, lens [rows, per_row, blocks] int32: -1 everything, 0 nothing.
typedef struct WnKeyLists {
  const int32_t* values;
  const int32_t* lens;
  int32_t per_row;  ///< 1, num_kv_heads or num_query_heads
  int32_t blocks;   ///< lists one behind the other serve query_block queries each; 1 serves all
  int32_t max_len;
} WnKeyLists;

typedef struct WnKeySet {
  WnKeyLists lists;      ///< slots, pages or columns
  WnKeyLists diagonals;  ///< of WN_SET_VERTICAL_SLASH, blocks 1
  int32_t kind;          ///< WN_SET_*
  int32_t with_new, page_size, query_block, sink, recent;
} WnKeySet;

typedef struct WnAttendSetsParams {
  const void* q;
  WnCacheView cache;
  WnKeySet sets[WN_MAX_KEY_SETS];
  WnKeyLists queries;  ///< values null: every query attends, else the listed tokens of the step
  const int32_t* parents;
  const int32_t* segments;
  const float* bias;
  const float* cos_sin;
  void* out;
  float* lse;
  int32_t* counts;
  uint8_t* seen;
  int64_t* results;
  int32_t* scheduler;
  void* workspace;
  int64_t workspace_bytes, max_slots, bias_width, seen_width, max_positions;
  uint32_t heads[WN_MAX_SETS_HEADS / 32];  ///< bit h: query head h attends
  int32_t num_sets, query_len, num_query_heads;
  int32_t visible, num_segments, old_only;
  int32_t bias_heads, bias_by_entry;
  int32_t positions, clamp, rope_dims, keys_rotated;
  int32_t sliding_window;  ///< in positions, 0 = none
  int32_t out_f32;
  int32_t num_pages;
  int32_t variant;
  float softmax_scale, soft_cap;
} WnAttendSetsParams;

/// Attention of query_len new queries of each row over a union of key sets: what an attention plan can say beyond one list.
///
///   out[r, t, h] = softmax(cap(softmax_scale * q[r, t, h] . K[S]^T) + log_bias[S] + bias[S]) . V[S],  S = S(r, t, h)
///
/// With n slots in the head and own = n - query_len + t, a slot s is in S where a set names it and it may be seen:
///   all             every s
///   window          s < sink or own - recent < s <= own
///   slots, pages    listed slots, or pages of page_size slots; with_new adds the new slots unless the list has length 0
///   vertical-slash  s listed as a column, or own - s >= 0 listed as a diagonal
/// and it may be seen where old_only does not hide it (the new slots) and
///   causal s <= own;  all always;  tree s is old, or t's or an ancestor's slot;  segments s <= own, and the segments of both
///   positions are equal or one is -1;  every always: the queries have no slots of their own (first new slot n, no sliding)
/// A sliding window hides positions[s] <= positions[own] - sliding_window.
///
/// Positions keep: as cached. compact: key i of the list stands at position i, query t behind the old ones. clamp: a distance
///           counts as at most `clamp`. Both rotate what is read by cos_sin; keys_rotated 0: the cache holds keys before RoPE.
/// Shapes    q         [rows, query_len, num_query_heads, head_dim]  bf16, 16-byte aligned
///           out       the same, bf16, or f32 with out_f32;  lse [rows, query_len, num_query_heads] f32 or null
///           bias      [rows, bias_heads, bias_width]  f32 nats by slot (none beyond it), bias_heads 1, kv or query heads; or by
///                     entry of the only set, a slots one with bias_heads lists of max_len bias_width
///           parents   [rows, query_len] int32, -1 or an earlier query;  segments [num_segments] int32 by position
///           cos_sin   [max_positions, rope_dims]  f32, cosines then sines
///           counts    [rows, num_kv_heads]  int32: entries read, once per list and run of heads that reads it; null
///           seen      [rows, num_kv_heads, seen_width]  uint8, 1 where any query reads the slot; null
///           results   [2]  int64: query-key pairs over rows, heads and tokens (a sliding window is not taken off), WN_SETS_*
///           num_pages 0, or pages of the arena where the device is Hopper's and all heads hold max_slots slots: plain causal
///                     attention of one row's 128 or more queries, over sets whose query blocks are multiples of 64, is then
///                     a plan of blocks with masks for Hopper's kernel (head_dim 64, 128 or 256, neither counts nor seen)
///           scheduler as in prefill_attention, may be null
///           workspace wn_attend_sets_workspace_bytes; contents need no preparation; one per stream
/// Limits    head_dim a multiple of 16 up to 256; max_slots >= every length; sets of at most three different query_block (0
///           counts too); rotating needs even rope_dims <= head_dim and a rule other than tree and every; compact needs one
///           set for all queries of a call; entries that are out of order or range are left out and noted in results[1]
/// Error     relative RMS against the fp64 reference <= 6e-3, rotating 1.2e-2; lse <= 2e-3 absolute, rotating 2e-2
/// Numerics  the bits of a row depend neither on other rows nor on the run; a query that sees nothing gives 0 and -inf
/// Cost      4 * head_dim FLOP per pair that any query of a tile of 64 packed queries sees; keys are gathered, so that single
///           slots cost what they are. One pass over bits of slots, 32 a word, for each tile and list. With a plan: blocks of 64
///           keys that any of 64 queries of two heads (where heads share their sets; else 128 queries of one) sees, and lone
///           columns side by side
/// Returns   Status with code and message; never throws, prints or exits
/// `variant` 0 attends; 2 = where there is a plan, no more than that, for timing
WN_API WnStatus wn_attend_sets(const WnAttendSetsParams* params, void* stream);

/// Bytes of workspace: depends on shapes and strides alone.
WN_API int64_t wn_attend_sets_workspace_bytes(const WnAttendSetsParams* params);

#endif
