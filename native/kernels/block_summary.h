#pragma once

#include "cache.h"
#include "isa.h"
#include "status.h"

namespace winnow {

struct BlockSummaryParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t page_size;
  int32_t from_page;
  int64_t num_pages;
  float* out;
};

/// Channel-wise minimum and maximum of the keys of each page of `page_size` slots.
///
/// Shapes    out [rows, num_kv_heads, num_pages, 2, head_dim]   f32: minimum, then maximum
/// Limits    page_size >= 1; only pages in [from_page, num_pages) are written; a page without members gets +inf and -inf
/// Error     exact
/// Cost      one read of the keys from from_page on
Status BlockSummary(const Context& context, const BlockSummaryParams& params);
void BlockSummaryRef(const BlockSummaryParams& params, double* out);

struct BlockSummaryKernels {
  /// Widens [low, high] by `count` rows of `dim` elements.
  void (*f32)(const float* rows, int32_t count, int32_t dim, float* low, float* high);
  void (*bf16)(const uint16_t* rows, int32_t count, int32_t dim, float* low, float* high);
};
WINNOW_DECLARE_KERNELS(BlockSummaryKernels);

}  // namespace winnow
