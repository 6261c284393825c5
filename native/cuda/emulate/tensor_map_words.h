/// The device that runtime.cpp stands in for, and what its driver writes into the 128 bytes of a tensor map for the emulated
/// copy engine to read.
#ifndef WINNOW_CUDA_EMULATE_TENSOR_MAP_WORDS_H
#define WINNOW_CUDA_EMULATE_TENSOR_MAP_WORDS_H

#include <cuda.h>

#include <cstdint>

namespace winnow::emulate {

extern int multiprocessors;  ///< to be set before the first launch, which remembers it

struct TensorMapWords {
  static constexpr uint64_t kMark = 0x77696e6e6f77ull;
  uint64_t mark;
  const char* data;
  uint64_t dims[4], strides[3];  ///< elements, bytes
  uint32_t box[4];
};
static_assert(sizeof(TensorMapWords) <= sizeof(CUtensorMap));

/// cuTensorMapEncodeTiled for bf16 boxes of rank 4 with the 128-byte swizzle, with the limits that its manual states.
CUresult encode_tiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data, const cuuint64_t* dims,
                      const cuuint64_t* strides, const cuuint32_t* box, const cuuint32_t* steps, CUtensorMapInterleave interleave,
                      CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill);

}  // namespace winnow::emulate

#endif
