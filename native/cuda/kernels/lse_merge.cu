#include "lse_merge.cuh"

#include "device.cuh"

namespace winnow {
namespace {

struct MergeArgs {
  WnLseMergeParams p;
};

/// One block per row, one thread per channel. A warp looks up the weights of 32 parts at once and loads the outputs in
/// batches; parts are added in their order, so the result repeats bit for bit.
__global__ void lse_merge_kernel(const __grid_constant__ MergeArgs args) {
  const WnLseMergeParams& p = args.p;
  const int64_t row = blockIdx.x;
  const int lane = threadIdx.x & 31;
  constexpr int kBatch = 8;
  let_successor_start();
  wait_for_predecessor();
  for (int d0 = 0; d0 < p.head_dim; d0 += blockDim.x) {
    const int d = d0 + threadIdx.x, channel = min(d, p.head_dim - 1);
    float best = -INFINITY, total = 0, value = 0;
    for (int base = 0; base < p.num_parts; base += 32) {
      const int count = min(32, p.num_parts - base);
      const float lse = lane < count ? p.part_lse[(base + lane) * int64_t(p.num_rows) + row] : -INFINITY;
      const float new_best = fmaxf(best, warp_reduce(lse, [](float x, float y) { return fmaxf(x, y); }));
      const float shift = new_best == -INFINITY ? 0 : new_best;
      const float factor = exp2_fast((best - shift) * kLog2e), weight = exp2_fast((lse - shift) * kLog2e);
      best = new_best;
      total = total * factor + warp_sum(weight);
      value *= factor;
      for (int first = 0; first < count; first += kBatch) {
        float parts[kBatch];
#pragma unroll
        for (int i = 0; i < kBatch; i++)
          parts[i] = p.part_out[((base + min(first + i, count - 1)) * int64_t(p.num_rows) + row) * p.head_dim + channel];
#pragma unroll
        for (int i = 0; i < kBatch; i++) {
          const float part_weight = first + i < count ? __shfl_sync(~0u, weight, (first + i) & 31) : 0;
          // The output of an empty part counts for nothing, even where it was never written.
          if (part_weight > 0) value += part_weight * parts[i];
        }
      }
    }
    if (d >= p.head_dim) continue;
    const float joined = total > 0 ? value / total : 0;
    if (p.out_f32)
      static_cast<float*>(p.out)[row * p.head_dim + d] = joined;
    else
      static_cast<__nv_bfloat16*>(p.out)[row * p.head_dim + d] = __float2bfloat16(joined);
    if (d == 0 && p.lse) p.lse[row] = total > 0 ? best + logf(total) : -INFINITY;
  }
}

}  // namespace

WnStatus launch_lse_merge(const WnLseMergeParams& p, cudaStream_t stream) {
  const int threads = p.head_dim < 256 ? static_cast<int>(ceil_div(p.head_dim, 32)) * 32 : 256;
  const cudaError_t error =
      launch_early(lse_merge_kernel, dim3(p.num_rows), dim3(threads), 0, stream, static_cast<const MergeArgs>(MergeArgs{p}));
  return cuda_status(error, "lse_merge");
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
