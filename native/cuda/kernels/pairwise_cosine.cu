#include "winnow_cuda/pairwise_cosine.h"

#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8, kRightsPerBlock = 64;

/// A block per left entry and 64 right ones, a warp per pair.
__global__ void __launch_bounds__(32 * kWarps) pairwise_cosine_kernel(const __grid_constant__ WnPairwiseCosineParams p) {
  const int64_t list = blockIdx.z;
  const int lane = threadIdx.x & 31, left = blockIdx.y, d = p.cache.head_dim;
  const bool has_left = left < p.left_lens[list];
  auto vector = [&](int slot) { return arena_row(p.cache, arena_slot(p.cache, list, slot), p.what); };
  const __nv_bfloat16* x = has_left ? vector(p.left[list * p.left_stride + left]) : nullptr;
  const int end = min((blockIdx.x + 1) * kRightsPerBlock, p.right_stride);
  for (int right = blockIdx.x * kRightsPerBlock + threadIdx.x / 32; right < end; right += kWarps) {
    float cosine = -INFINITY;
    if (has_left && right < p.right_lens[list]) {
      const __nv_bfloat16* y = vector(p.right[list * p.right_stride + right]);
      float product = 0, left_square = 0, right_square = 0;
      for (int c = lane; c < d; c += 32) {
        const float a = __bfloat162float(x[c]), b = __bfloat162float(y[c]);
        product = fmaf(a, b, product);
        left_square = fmaf(a, a, left_square);
        right_square = fmaf(b, b, right_square);
      }
      const float norms = sqrtf(warp_sum(left_square)) * sqrtf(warp_sum(right_square));
      product = warp_sum(product);
      cosine = norms > 0 ? product / norms : 0;
    }
    if (lane == 0) p.out[(list * p.left_stride + left) * p.right_stride + right] = cosine;
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_pairwise_cosine(const WnPairwiseCosineParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "pairwise_cosine: params is null");
  const WnPairwiseCosineParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.left && p.left_lens && p.right && p.right_lens && p.out,
             "pairwise_cosine: pointers or sizes");
  WN_REQUIRE(p.left_stride >= 0 && p.left_stride <= 65535 && p.right_stride >= 0 && (p.what == 0 || p.what == 1),
             "pairwise_cosine: above 65535 left slots, or what");
  WN_REQUIRE(static_cast<int64_t>(p.cache.rows) * p.cache.num_kv_heads <= 65535, "pairwise_cosine: above 65535 lists");
  if (p.left_stride == 0 || p.right_stride == 0) return ok();
  const dim3 grid(ceil_div(p.right_stride, kRightsPerBlock), p.left_stride, p.cache.rows * p.cache.num_kv_heads);
  pairwise_cosine_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("pairwise_cosine");
}
