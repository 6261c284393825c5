#ifndef WINNOW_CUDA_COMPACT_SLOTS_H
#define WINNOW_CUDA_COMPACT_SLOTS_H

#include "cache_view.h"
#include "status.h"

typedef struct WnCompactSlotsParams {
  WnCacheView cache;
  const int32_t* slots;
  const int32_t* lens;
  int32_t slots_stride;
  int32_t one_list_per_row;  ///< 0 or 1
} WnCompactSlotsParams;

/// Moves chosen slots of a cache to the front of their own pages: where few leave, only what lies behind the first of them moves.
///
///   slot i of (row, head) = slot slots[list, i],   i < lens[list], for keys, values, position, count and bias
///
/// Shapes    cache  with positions and counts; kv_lens is not read; log_bias null = none moves; no page belongs to two heads
///           slots  [rows, num_kv_heads, slots_stride], or [rows, slots_stride] with one_list_per_row;  int32, ascending
///           lens   as many as lists  int32; below 0 = that list's heads stay as they are
/// Limits    head_dim a multiple of 8
/// Error     exact
/// Cost      4 * head_dim bytes read and written per slot behind the first hole; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_compact_slots(const WnCompactSlotsParams* params, void* stream);

#endif
