#ifndef WINNOW_CUDA_SLOT_NORMS_H
#define WINNOW_CUDA_SLOT_NORMS_H

#include "cache_view.h"

typedef struct WnSlotNormsParams {
  WnCacheView cache;
  float* norms;
  int32_t max_len;  ///< host: at least every kv_len
  int32_t what;     ///< 0 keys, 1 values
} WnSlotNormsParams;

/// L2 norm of every key or value.
///
/// Shapes    norms  [rows, num_kv_heads, max_len]  f32, -inf beyond a head's length
/// Error     relative RMS against the fp64 reference <= 1e-6
/// Cost      one read of the keys or values; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_slot_norms(const WnSlotNormsParams* params, void* stream);

#endif
