#ifndef WINNOW_CUDA_TENSOR_MAP_H
#define WINNOW_CUDA_TENSOR_MAP_H

#include <cuda.h>

#include "winnow_cuda/status.h"

namespace winnow {

/// Describe bf16 tokens by heads to the copy engine: dimensions {64, tokens, head_dim / 64, heads}, the 128-byte
/// swizzle, zeros outside. A box of {64, box_tokens, box_chunks, 1} lands as `tile_byte` says.
struct TensorMapParams {
  const void* data;
  int64_t tokens, token_stride;  ///< strides in elements
  int64_t heads, head_stride;
  int head_dim, box_tokens, box_chunks;
};
WnStatus make_tensor_map(const TensorMapParams& params, CUtensorMap* map);

/// A bf16 matrix [rows, cols] whose rows lie one behind the other, cols a multiple of 8: boxes of 64 columns by `box_rows`
/// rows at {column, row, 0, 0}, with the same swizzle and zeros outside.
struct MatrixMapParams {
  const void* data;
  int64_t rows, cols;
  int box_rows;
};
WnStatus make_matrix_map(const MatrixMapParams& params, CUtensorMap* map);

}  // namespace winnow

#endif
