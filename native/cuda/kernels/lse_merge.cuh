#ifndef WINNOW_CUDA_LSE_MERGE_CUH
#define WINNOW_CUDA_LSE_MERGE_CUH

#include <cuda_runtime.h>

#include "winnow_cuda/lse_merge.h"

namespace winnow {
/// The launch behind wn_lse_merge, for operations that end in a merge of their own; arguments are not checked.
WnStatus launch_lse_merge(const WnLseMergeParams& params, cudaStream_t stream);
}  // namespace winnow

#endif
