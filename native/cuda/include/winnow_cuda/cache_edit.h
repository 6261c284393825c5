#ifndef WINNOW_CUDA_CACHE_EDIT_H
#define WINNOW_CUDA_CACHE_EDIT_H

#include "cache_view.h"

/// What an edit's lists are refused for, as their check reports it: of each head the place of the first fault, times
/// WN_FAULT_KINDS, plus its kind; -1 where there is none. The place is 0 where a length is at fault.
enum {
  WN_FAULT_LENS = 0,
  WN_FAULT_SLOT = 1,    ///< a slot outside the head or out of order
  WN_FAULT_TARGET = 2,  ///< outside the head, or a source of the same call
  WN_FAULT_AMOUNT = 3,  ///< a weight below 0 or not finite, or a move out of the positions
  WN_FAULT_KINDS = 4
};

enum { WN_MERGE_KEYS_NONE = 0, WN_MERGE_KEYS_MEAN = 1, WN_MERGE_KEYS_DIRECTION = 2 };
enum { WN_MERGE_VALUES_MEAN = 0, WN_MERGE_VALUES_ADD = 1 };
enum { WN_MERGE_BIAS_NONE = 0, WN_MERGE_BIAS_LOG_COUNT = 1 };

typedef struct WnCacheMergeParams {
  WnCacheView cache;
  const int32_t* from;
  const int32_t* into;
  const float* weight;
  const int32_t* lens;
  int32_t* report;  ///< of the check
  void* workspace;  ///< of the merge
  int64_t workspace_bytes;
  int32_t stride;
  int32_t max_count;  ///< host: at least every len
  int32_t keys, values, bias;
  int32_t frozen_page;  ///< never written; -1 = none
} WnCacheMergeParams;

/// Merge slots of one row into other slots of the same head: entry i brings slot from[i] with weight[i] to slot into[i].
///
/// A target weighs its count c before the merge. With W = c + sum w_i over the target's entries, in their order:
///   keys    none       stay
///           mean       k <- (c k + sum w_i k_i) / W
///           direction  mean of the norms times the unit vector of the mean of the directions, both weighted as above
///   values  mean       v <- (c v + sum w_i v_i) / W
///           add        v <- v + sum w_i v_i
///   counts  of the sources are added to the target and become 0; a source with several entries gives its count to the first
///           one of weight above 0 and a target
///   bias    none       stays; log-count: ln of the new count
/// Entries of weight 0 or target -1 give nothing, and their source counts no more.
///
/// Shapes    from, into  [num_kv_heads, stride]  int32, the first lens[h] of each head; `from` does not descend and may repeat
///           weight      [num_kv_heads, stride]  f32, finite, not negative
///           lens        [num_kv_heads]  int32; -1 is 0
///           report      [2, num_kv_heads]  int32: the lens, then the faults (WN_FAULT_*)
///           workspace   wn_cache_merge_workspace_bytes, 16-byte aligned; contents need no preparation
///           cache       rows 1, counts and log_bias given; the pages of slots and sources are nobody else's
/// Limits    no slot is a source and a target of one call; the merge takes its lists as checked
/// Error     relative RMS against the fp64 reference 2^-8 (rounding to bf16), counts exact; bitwise repeatable
/// Cost      each entry's slot read once; the entries sorted by one block a head
/// Returns   Status with code and message; never throws, prints or exits
/// Source    CaM (values, one into many), D2O and KVMerger (weighted means), EMS (direction), Chelsea (log-count)
WN_API WnStatus wn_cache_merge(const WnCacheMergeParams* params, void* stream);
WN_API WnStatus wn_cache_merge_check(const WnCacheMergeParams* params, void* stream);
WN_API int64_t wn_cache_merge_workspace_bytes(const WnCacheMergeParams* params);

typedef struct WnCacheRotateParams {
  WnCacheView cache;
  const int32_t* slots;
  const int32_t* lens;
  const int32_t* delta;
  const float* cos_sin;
  int32_t* report;  ///< of the check
  int32_t stride;
  int32_t max_count;  ///< host: at least every count of slots
  int32_t max_positions, rope_dims;
  int32_t frozen_page;  ///< never written; -1 = none
} WnCacheRotateParams;

/// Move slots of one row to other positions and turn their keys by the difference:
///
///   (x_i, x_{i + r/2}) <- (x_i c - x_{i+r/2} s, x_{i+r/2} c + x_i s),   c = cos(delta w_i), s = sin(delta w_i), i < r/2
///
/// c and s are row |delta| of the table over its position-0 cosine, so that a scaling of the table is not applied twice.
///
/// Shapes    slots    [num_kv_heads, stride]  int32 ascending, the first lens[h] of each head; lens -1: all, slot s at [s]
///           delta    [num_kv_heads, stride]  int32 positions; no new position is negative
///           cos_sin  [max_positions, rope_dims]  f32; null: only positions change
///           report   [2, num_kv_heads]  int32: counts of slots, then the faults (WN_FAULT_*)
///           cache    rows 1, positions given; the pages of the slots are nobody else's
/// Limits    |delta| < max_positions; rope_dims even, at most head_dim; the rotation takes its lists as checked
/// Error     relative RMS against the fp64 reference 2^-8 (rounding to bf16); positions exact
/// Cost      one read and one write of the keys that turn; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_cache_rotate(const WnCacheRotateParams* params, void* stream);
WN_API WnStatus wn_cache_rotate_check(const WnCacheRotateParams* params, void* stream);

#endif
