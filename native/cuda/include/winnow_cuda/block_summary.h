#ifndef WINNOW_CUDA_BLOCK_SUMMARY_H
#define WINNOW_CUDA_BLOCK_SUMMARY_H

#include "cache_view.h"

typedef struct WnBlockSummaryParams {
  WnCacheView cache;
  float* summary;
  int32_t block_len;           ///< slots of a block
  int32_t from_block;          ///< blocks before it are left alone
  int32_t num_blocks;          ///< capacity of `summary`; blocks without slots get min +inf, max -inf
} WnBlockSummaryParams;

/// Channel-wise minimum and maximum of the keys of every block of slots.
///
/// Shapes    summary  [rows, num_kv_heads, num_blocks, 2, head_dim]  f32
/// Limits    block_len >= 1, 0 <= from_block
/// Error     exact (a NaN key leaves its channel as if it were not there)
/// Cost      one read of the keys from from_block on; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    Quest (arXiv 2406.10774) section 3
WN_API WnStatus wn_block_summary(const WnBlockSummaryParams* params, void* stream);

#endif
