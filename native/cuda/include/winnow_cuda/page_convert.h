#ifndef WINNOW_CUDA_PAGE_CONVERT_H
#define WINNOW_CUDA_PAGE_CONVERT_H

#include "page_format.h"

typedef struct WnPageConvertParams {
  WnPageFormat elements;        ///< of the pages that entries from 0 on name
  const WnPageFormat* formats;  ///< on the device, by number
  const int32_t* source;
  const int32_t* target;
  int32_t num_jobs, head_dim, head_dim_v;
  const int32_t* channels;      ///< lists of channels of keys, for pages that go to some of them; null where none do
  const int32_t* channel_list;  ///< of each job, the list
  int32_t channel_stride;
} WnPageConvertParams;

/// Write pages in another format: pack elements, unpack codes, or copy what is stored alike, keys and values each.
///
///   minimum, scale = f16(min), f16((max - min) / (2^bits - 1)) of a group, both bounded to +-65504
///   code = round((x - minimum) * (1 / scale)) in 0 .. 2^bits - 1, halves to even, 0 where scale is 0
///   x' = bf16(code * scale + minimum)
///
/// Some channels are copied as they are, and read as 0 where they are not.
///
/// Shapes    channels  [lists, channel_stride]  int32 ascending; the first `group` of the target's keys count
///           source, target  [num_jobs]  int32 page table entries (see WnPageFormat); a target at most once, none a source
///           positions, counts and log_bias of the pages go along
/// Limits    a plane goes from elements to codes or some channels (keys), from those to elements, or stays as it is; all 64 slots are read
/// Error     exact: the codes, scales and minima of the CPU's caches
/// Cost      one read and one write of a page; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    KIVI (arXiv 2402.02750) section 3 for the two directions
WN_API WnStatus wn_page_convert(const WnPageConvertParams* params, void* stream);

#endif
