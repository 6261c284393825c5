/// The ways to a product, each checked by wn_linear before it is called.
#ifndef WINNOW_CUDA_KERNELS_LINEAR_H
#define WINNOW_CUDA_KERNELS_LINEAR_H

#include "winnow_cuda/linear.h"

namespace winnow {

/// Weights are read once for every 64 tokens; the sum of a token's product goes by the same order whoever shares the call.
WnStatus linear_step(const WnLinearParams& p, void* stream);
/// The same by Hopper's copy engine and warp-group products: 64 tokens at nearly the speed of one. WN_UNSUPPORTED elsewhere.
WnStatus linear_wide(const WnLinearParams& p, void* stream);
/// Tiles of 128 tokens by 128 rows on the matrix units that every device since Ampere has. No gate.
WnStatus linear_tile(const WnLinearParams& p, void* stream);
/// cuBLASLt; no gate, no bias. WN_UNSUPPORTED where it was not loaded or knows no way for the shape.
WnStatus linear_blas(const WnLinearParams& p, void* stream);
bool has_blas();

}  // namespace winnow

#endif
