/// The first fault of the lists of an edit, by one block a head.
#ifndef WINNOW_CUDA_EDIT_CHECK_CUH
#define WINNOW_CUDA_EDIT_CHECK_CUH

#include "score_lists.cuh"
#include "winnow_cuda/cache_edit.h"

namespace winnow {

constexpr int kCheckThreads = 256;

/// `fault_of(i)` is the kind of fault of entry i, or -1. Writes the report's line of this head; `first` is the block's.
template <typename FaultOf>
WN_DEVICE void report_faults(int32_t* report, int num_heads, int* first, int count, bool fits, FaultOf fault_of) {
  const int head = blockIdx.x;
  if (threadIdx.x == 0) *first = fits ? INT32_MAX : WN_FAULT_LENS;
  __syncthreads();
  for (int i = threadIdx.x; fits && i < count; i += kCheckThreads) {
    const int kind = fault_of(i);
    if (kind >= 0) atomicMin(first, i * WN_FAULT_KINDS + kind);
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  report[head] = count;
  report[num_heads + head] = *first == INT32_MAX ? -1 : *first;
}

}  // namespace winnow

#endif
