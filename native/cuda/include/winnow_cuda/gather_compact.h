#ifndef WINNOW_CUDA_GATHER_COMPACT_H
#define WINNOW_CUDA_GATHER_COMPACT_H

#include "status.h"

typedef struct WnGatherCompactParams {
  const void* source;
  const int32_t* source_table;
  const int32_t* indices;
  const int32_t* counts;
  void* target;
  const int32_t* target_table;
  const float* source_bias;
  float* target_bias;
  int32_t num_rows, head_dim;
  int32_t source_stride, target_stride, indices_stride;
  int32_t max_count;   ///< host: at least every count; 0 = indices_stride
  int32_t* positions;  ///< of source and target both, in one arena
  int32_t* slot_counts;
} WnGatherCompactParams;

/// Copy chosen slots of a paged cache to the front of other pages, per row (a row is one KV head of one sequence).
///
///   target[row] slot i = source[row] slot indices[row, i],   i < counts[row]
///
/// Shapes    source, target  paged caches (see WN_PAGE_SIZE), 16-byte aligned; the pages read and written are disjoint
///           source_table    [num_rows, source_stride]  int32
///           target_table    [num_rows, target_stride]  int32, at least ceil(counts / 64) pages
///           indices         [num_rows, indices_stride]  int32; stride 0: one list for all rows; null = 0, 1, 2, ...
///           counts          [num_rows]  int32
///           source_bias, target_bias  [pages, 64]  f32 copied along; both null or neither
///           positions, slot_counts    [pages, 64]  int32 copied along; null = none
/// Limits    head_dim a multiple of 8
/// Error     exact
/// Cost      4 * head_dim bytes read and written per slot; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_gather_compact(const WnGatherCompactParams* params, void* stream);

#endif
