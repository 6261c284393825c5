#include "winnow_cuda/group_means.h"

#include "group_sums.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8;

/// A warp per group.
__global__ void __launch_bounds__(32 * kWarps) group_means_kernel(const __grid_constant__ WnGroupMeansParams p) {
  const int group = blockIdx.x * kWarps + threadIdx.x / 32;
  if (group >= p.groups) return;
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + blockIdx.y;
  LaneVector mean;
  group_mean(p.cache, list, p.what, p.assignment + list * p.max_len, p.cache.kv_lens[list], group, &mean);
  mean.store(p.means + (list * p.groups + group) * p.cache.head_dim, p.cache.head_dim);
}

}  // namespace
}  // namespace winnow

WnStatus wn_group_means(const WnGroupMeansParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "group_means: params is null");
  const WnGroupMeansParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && (p.assignment || p.max_len == 0) && p.means, "group_means: pointers or sizes");
  WN_REQUIRE(p.groups >= 1 && p.groups <= 65536 && p.max_len >= 0 && (p.what == 0 || p.what == 1), "group_means: groups, max_len or what");
  const dim3 grid(ceil_div(p.groups, kWarps), p.cache.num_kv_heads, p.cache.rows);
  group_means_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("group_means");
}
