#include "lse_merge.cuh"

#include "common.cuh"

namespace winnow {
namespace {

struct MergeArgs {
  WnLseMergeParams p;
};

/// One block per row, one thread per channel; parts are added in their order, so the result repeats bit for bit.
__global__ void lse_merge_kernel(const __grid_constant__ MergeArgs args) {
  const WnLseMergeParams& p = args.p;
  const int64_t row = blockIdx.x;
  float best = -INFINITY;
  for (int part = 0; part < p.num_parts; part++) best = fmaxf(best, p.part_lse[part * int64_t(p.num_rows) + row]);
  const float shift = best == -INFINITY ? 0 : best;
  for (int d = threadIdx.x; d < p.head_dim; d += blockDim.x) {
    float total = 0, value = 0;
    for (int part = 0; part < p.num_parts; part++) {
      const int64_t at = part * int64_t(p.num_rows) + row;
      const float weight = exp2_fast((p.part_lse[at] - shift) * kLog2e);
      total += weight;
      // An empty part's output is not read: it may never have been written.
      if (weight > 0) value += weight * p.part_out[at * p.head_dim + d];
    }
    static_cast<__nv_bfloat16*>(p.out)[row * p.head_dim + d] = __float2bfloat16(total > 0 ? value / total : 0);
    if (d == 0 && p.lse) p.lse[row] = total > 0 ? best + logf(total) : -INFINITY;
  }
}

}  // namespace

WnStatus launch_lse_merge(const WnLseMergeParams& p, cudaStream_t stream) {
  lse_merge_kernel<<<p.num_rows, p.head_dim < 256 ? p.head_dim : 256, 0, stream>>>(MergeArgs{p});
  return launch_status("lse_merge");
}

}  // namespace winnow

WnStatus wn_lse_merge(const WnLseMergeParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "lse_merge: params is null");
  const WnLseMergeParams& p = *params;
  WN_REQUIRE(p.part_out && p.part_lse && p.out, "lse_merge: a required pointer is null");
  WN_REQUIRE(p.num_parts > 0 && p.num_rows > 0 && p.head_dim > 0, "lse_merge: counts must be positive");
  return launch_lse_merge(p, static_cast<cudaStream_t>(stream));
}
