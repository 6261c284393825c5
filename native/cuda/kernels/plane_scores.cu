#include "winnow_cuda/plane_scores.h"

#include "element.cuh"
#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8;

/// A warp per entry and list.
__global__ void __launch_bounds__(32 * kWarps) plane_scores_kernel(const __grid_constant__ WnPlaneScoresParams p) {
  const int lane = threadIdx.x & 31, entry = blockIdx.x * kWarps + threadIdx.x / 32;
  const int list = blockIdx.y, lists = gridDim.y, row = blockIdx.z;
  if (entry >= p.max_len) return;
  const int together = p.num_query_heads / lists, group_size = p.num_query_heads / p.num_kv_heads;
  const float score = reduce_group(p.gqa, list * together, together, [&](int head) {
    const int64_t kv_list = static_cast<int64_t>(row) * p.num_kv_heads + head / group_size;
    if (entry >= p.used[kv_list]) return -INFINITY;
    const float* key = p.plane + (kv_list * p.capacity + entry) * p.width;
    float best = -INFINITY;
    for (int t = 0; t < p.query_len; t++) {
      const int64_t q = ((static_cast<int64_t>(row) * p.query_len + t) * p.num_query_heads + head) * p.width;
      float sum = 0;
      for (int c = lane; c < p.width; c += 32) sum = fmaf(load_element(p.q, q + c, p.q_type), key[c], sum);
      best = fmaxf(best, warp_sum(sum));
    }
    return best;
  });
  if (lane == 0) p.scores[(static_cast<int64_t>(row) * lists + list) * p.max_len + entry] = score;
}

}  // namespace
}  // namespace winnow

WnStatus wn_plane_scores(const WnPlaneScoresParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "plane_scores: params is null");
  const WnPlaneScoresParams& p = *params;
  WN_REQUIRE(p.q && p.plane && p.used && p.scores, "plane_scores: a required pointer is null");
  WN_REQUIRE(p.rows > 0 && p.rows <= 65535 && p.query_len > 0 && p.num_kv_heads > 0 && p.num_query_heads > 0 &&
                 p.num_query_heads <= 65535 && p.num_query_heads % p.num_kv_heads == 0, "plane_scores: counts");
  WN_REQUIRE(p.width > 0 && p.max_len >= 0 && p.capacity >= 0, "plane_scores: width, capacity or max_len");
  WN_REQUIRE(is_float_type(p.q_type) && p.gqa >= WN_GQA_NONE && p.gqa <= WN_GQA_ALL, "plane_scores: q_type or gqa");
  if (p.max_len == 0) return ok();
  const dim3 grid(ceil_div(p.max_len, kWarps), lists_after(p.gqa, p.num_query_heads, p.num_kv_heads), p.rows);
  plane_scores_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("plane_scores");
}
