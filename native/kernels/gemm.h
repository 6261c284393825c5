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
};
WINNOW_DECLARE_KERNELS(GemmKernels);

/// Up to kFewRows rows straight from a packed block panel, unpacking in registers; the bits of unpack + multiply.
struct FewRowKernels {
  void (*f32)(const Panel& panel, const float* a, int64_t lda, int64_t rows, const Epilogue& e);
  void (*bf16)(const Panel& panel, const uint16_t* a, int64_t lda, int64_t rows, const Epilogue& e);
};
WINNOW_DECLARE_KERNELS(FewRowKernels);

/// Products of a decode step (see LinearInput::step): out = sum over blocks of d (x . codes) + m (sum of x), bf16 activations
/// times exact codes. Two accumulators per output and block (even and odd k pairs), k ascending, blocks ascending.
struct StepKernels {
  static bool Take(WeightType type) { return IsBlockType(type); }
  /// sums[b] = sum of the activations of block b.
  void (*block_sums)(const uint16_t* x, int64_t blocks, float* sums);
  /// Any number of rows of a packed block panel; sums [rows][k / 32]. Null where the set has no bf16 products.
  void (*multiply)(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t rows, const Epilogue& e);
};
WINNOW_DECLARE_KERNELS(StepKernels);

/// Products by 16 x 32 tiles, as the AMX instructions make them: each step of 32 k adds (sum over even k) + (sum over
/// odd k) to the result, so bits differ from the vector products and every row count takes this path.
///
/// Limits    pairs % 16 == 0 and 2 * pairs values readable in every row of a: the caller pads with zeros
using TileMultiply = void (*)(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int32_t groups, int64_t pairs,
                              const Epilogue& e);
constexpr int64_t kTilePairs = 16;
/// The AMX kernel; null in a build without it.
#ifdef WINNOW_HAS_AMX
TileMultiply AmxMultiply();
#else
static inline TileMultiply AmxMultiply() { return nullptr; }
#endif

/// The same code over tiles emulated one multiply-add at a time, to hold it against the reference on any machine.
struct EmulatedTileKernels {
  TileMultiply multiply;
};
WINNOW_DECLARE_KERNELS(EmulatedTileKernels);

}  // namespace winnow
