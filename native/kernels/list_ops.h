/// Ops on lists of scores, which end with -inf where an entry is missing. Plain loops: the same bits on every machine.
///
/// Shapes    x [lists, length] f32 unless said
#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"
#include "top_k.h"

namespace winnow {

/// e^x over the sum of its list; -inf stays -inf ("no slot"), a list without entries stays as it is. NaN makes its list NaN.
/// Error 1e-6 relative to fp64. out may be x.
void SoftmaxLists(const Context& context, const float* x, int64_t lists, int64_t length, float* out);

/// Entropy in nats of the weights of each list over their sum; -inf and 0 weigh nothing; a list without weight has entropy 0.
/// Weights below 0 are kShape. out [lists].
Status EntropyLists(const float* x, int64_t lists, int64_t length, float* out);

/// Index of the largest entry of each list, ties to the lower index, -1 where there is none. out [lists].
void ArgmaxLists(const float* x, int64_t lists, int64_t length, int32_t* out);

struct TopPParams {
  const float* weights;
  int64_t lists;
  int64_t length;
  double mass;
  int32_t protect_first;
  int32_t protect_last;
};

/// The fewest entries, largest first, whose weights sum to at least `mass` of their list's sum; ties to the lower index; ascending
/// in the result. The first and last valid entries are taken before and count with their weights. -inf and NaN are no entries.
///
/// Limits    0 <= mass <= 1; weights of 0 or more
/// Cost      a heap of each list and a pop for every entry taken; sums in fp64, in the order of taking
Status TopP(const TopPParams& params, TopKResult* out);
TopKResult TopPRef(const TopPParams& params);

/// out[i] = values[list][index[i]]; -inf (f32) or -1 (i32) where the index is -1. values [lists, width], index [lists, length].
template <class T>
Status TakeLists(const T* values, int64_t width, const int32_t* index, int64_t lists, int64_t length, T missing, T* out) {
  for (int64_t i = 0; i < lists * length; i++) {
    if (index[i] < -1 || index[i] >= width) {
      return Status::Shape("takeLists.index", "-1 to " + std::to_string(width - 1), std::to_string(index[i]));
    }
    out[i] = index[i] < 0 ? missing : values[i / length * width + index[i]];
  }
  return Status();
}

}  // namespace winnow
