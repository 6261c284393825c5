#ifndef WINNOW_CUDA_CACHE_READ_H
#define WINNOW_CUDA_CACHE_READ_H

#include "cache_view.h"

enum { WN_READ_KEYS = 0, WN_READ_VALUES = 1, WN_READ_BIAS = 2, WN_READ_COUNTS = 3, WN_READ_POSITIONS = 4 };

typedef struct WnCacheReadParams {
  WnCacheView cache;
  void* out;
  int32_t what;     ///< WN_READ_*
  int32_t max_len;  ///< slots of a head in `out`
} WnCacheReadParams;

/// Slots of a paged cache side by side, packed pages by what their codes stand for. Takes formats.
///
/// Shapes    out  [rows, num_kv_heads, max_len, head_dim]  f32 for keys and values, [rows, num_kv_heads, max_len]  f32
///                bias, int32 counts and positions; 0 beyond a head's length
/// Limits    max_len >= 1
/// Error     exact
/// Cost      one read of what is asked for; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_cache_read(const WnCacheReadParams* params, void* stream);

#endif
