#pragma once

#include "cache.h"
#include "isa.h"
#include "status.h"

namespace winnow {

struct PairwiseCosineParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t what;  ///< 0 keys, 1 values
  const int32_t* left;
  int64_t left_stride;
  const int32_t* left_lens;
  const int32_t* right;
  int64_t right_stride;
  const int32_t* right_lens;
  float* out;
};

/// Cosine of the keys or values of listed slots of one head with those of other listed slots; a zero vector has cosine 0.
///
/// Shapes    left   [rows, num_kv_heads, left_stride] int32 slots, lens [rows, num_kv_heads] >= 0; right likewise
///           out    [rows, num_kv_heads, left_stride, right_stride]   f32, -inf where either list has ended
/// Error     absolute 2e-6; 16-lane sums: the same bits on every instruction set
/// Cost      left x right x dim multiply-adds, one read of each listed slot; scratch of one head's right rows a thread
Status PairwiseCosine(const Context& context, const PairwiseCosineParams& params);
void PairwiseCosineRef(const PairwiseCosineParams& params, double* out);

}  // namespace winnow
