#ifndef WINNOW_CUDA_KV_QUANTISE_H
#define WINNOW_CUDA_KV_QUANTISE_H

#include "status.h"

typedef struct WnKvQuantiseParams {
  const void* pages;
  const int32_t* source_pages;
  const int32_t* target_pages;
  void* quantised;
  int32_t num_jobs, head_dim;
} WnKvQuantiseParams;

/// Quantise full bf16 pages to 4 bits, asymmetric, groups of 32: keys along tokens per channel, values along
/// channels per token.
///
///   scale = (max - min) / 15, code = round((x - min) / scale) in 0 .. 15, min and scale rounded to f16 first
///
/// Shapes    pages          bf16 pages (see WN_PAGE_SIZE)
///           source_pages   [num_jobs]  int32, page to read
///           target_pages   [num_jobs]  int32, quantised page to write; each at most once
///           quantised      pages of wn_quantised_page_bytes(head_dim) bytes, 16-byte aligned:
///                            key codes    [64][head_dim / 2] bytes, channel 2 i in the low half of byte i
///                            value codes  [64][head_dim / 2] bytes, likewise
///                            key params   [2][head_dim] pairs (f16 scale, f16 min), one per 32 tokens and channel
///                            value params [64][head_dim / 32] pairs, one per token and 32 channels
/// Limits    head_dim in {64, 128}; all 64 slots of a page are quantised, so the values must be finite
/// Error     codes within 1 of the reference where x falls on a rounding boundary, else equal
/// Cost      256 * head_dim bytes read and 80 * head_dim written per page; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    KIVI (arXiv 2402.02750) section 3; groups end at page borders, the recent bf16 tail is the caller's
WN_API WnStatus wn_kv_quantise(const WnKvQuantiseParams* params, void* stream);

/// Bytes of one quantised page: 80 * head_dim.
WN_API int64_t wn_quantised_page_bytes(int32_t head_dim);

#endif
