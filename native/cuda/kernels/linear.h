/// The ways to a product, each checked by wn_linear before it is called.
#ifndef WINNOW_CUDA_KERNELS_LINEAR_H
#define WINNOW_CUDA_KERNELS_LINEAR_H

#include "index.h"
#include "winnow_cuda/linear.h"

namespace winnow {

/// Who of the blocks of a step asks for which bytes of the next weights: the last `most` blocks, in equal shares, since they
/// are on the device together when it ends. Pure, so that a host test runs it.
struct NextShare {
  int64_t bytes = 0, share = 0;
  int first_asking = 0;
  bool asks_at_once = false;

  NextShare() = default;
  /// A product of `own_bytes` of weights, most of which were asked for as these are, leaves the memory idle at its start.
  NextShare(int64_t next_bytes, int blocks, int most, int64_t own_bytes, int when) : bytes(next_bytes) {
    const int asking = most < 1 ? 1 : blocks < most ? blocks : most;
    first_asking = blocks - asking;
    share = ceil_div(ceil_div(next_bytes, int64_t{asking}), int64_t{256}) * 256;
    asks_at_once = when == WN_NEXT_FIRST || (when == WN_NEXT_CHOOSE && 2 * own_bytes <= 3 * next_bytes);
  }
  WN_HD int64_t begin(int block) const { return block < first_asking ? bytes : (block - first_asking) * share; }
  WN_HD int64_t end(int block) const { return block < first_asking || begin(block) + share > bytes ? bytes : begin(block) + share; }
};

/// Weights are read once for every 64 tokens; the sum of a token's product goes by the same order whoever shares the call.
WnStatus linear_step(const WnLinearParams& p, void* stream);
/// Tiles of 128 tokens by 128 rows on the matrix units that every device since Ampere has. No gate.
WnStatus linear_tile(const WnLinearParams& p, void* stream);
/// cuBLASLt; no gate, no bias. WN_UNSUPPORTED where it was not loaded or knows no way for the shape.
WnStatus linear_blas(const WnLinearParams& p, void* stream);
bool has_blas();

}  // namespace winnow

#endif
