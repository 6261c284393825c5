#pragma once

#include <cstdint>

#include "isa.h"
#include "weights.h"

namespace winnow {

/// Rows up to which block weights are unpacked in registers, once for all of them.
constexpr int64_t kFewRows = 4;

/// Where a tile of sums goes: out (+)= sum (+ bias), converted to the output's dtype.
struct Epilogue {
  void* out;           ///< row 0, column 0 of the panel
  DType type;          ///< f32 or bf16
  int64_t stride;      ///< elements from row to row
  int32_t width;       ///< columns of the panel that exist
  const float* bias;   ///< at the panel's first column, or null
  bool accumulate;     ///< add to what out holds (f32 only)
};

/// The inner loops of `linear`, per instruction set. All sums have one accumulator per output, k ascending from 0, so a
/// row's bits do not depend on how many rows there are nor on the path.
struct GemmKernels {
  /// Panel values [begin, end) along k as f32: out [end - begin][groups * 16]. begin is a multiple of 32.
  void (*unpack_f32)(const Panel& panel, int64_t begin, int64_t end, float* out);
  /// The same rounded to bf16, k pairs interleaved: out [ceil((end - begin) / 2)][groups * 16][2]; an odd end pads with 0.
  void (*unpack_bf16)(const Panel& panel, int64_t begin, int64_t end, uint16_t* out);
  /// rows x width outputs of a [rows, k] (row stride lda) times an unpacked panel b.
  void (*multiply_f32)(const float* a, int64_t lda, int64_t rows, const float* b, int32_t groups, int64_t k, const Epilogue& e);
  /// The same in bf16 with f32 sums; `pairs` = k pairs, a row holds 2 * pairs values; null where the set has no bf16 products.
  void (*multiply_bf16)(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int32_t groups, int64_t pairs, const Epilogue& e);
  /// A few rows (up to kFewRows) straight from the packed panel, unpacking in registers; same bits as unpack + multiply.
  /// Block types only. Null where there is no such path.
  void (*few_f32)(const Panel& panel, const float* a, int64_t lda, int64_t rows, const Epilogue& e);
  void (*few_bf16)(const Panel& panel, const uint16_t* a, int64_t lda, int64_t rows, const Epilogue& e);
};
WINNOW_DECLARE_KERNELS(GemmKernels);

}  // namespace winnow
