/// Byte offsets inside a 4-bit page; the layout is written out in winnow_cuda/kv_quantise.h.
#ifndef WINNOW_CUDA_QUANTISED_PAGE_H
#define WINNOW_CUDA_QUANTISED_PAGE_H

#include "index.h"

namespace winnow {

WN_HD constexpr int quantised_value_codes(int head_dim) { return 32 * head_dim; }
WN_HD constexpr int quantised_key_params(int head_dim) { return 64 * head_dim; }
WN_HD constexpr int quantised_value_params(int head_dim) { return 72 * head_dim; }
WN_HD constexpr int64_t quantised_page_bytes(int head_dim) { return 80 * static_cast<int64_t>(head_dim); }

}  // namespace winnow

#endif
