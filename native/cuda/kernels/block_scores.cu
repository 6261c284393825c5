#include "winnow_cuda/block_scores.h"

#include "element.cuh"
#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8;
constexpr int kMostChannels = 256 / 32;  ///< of a lane

struct BlockScoresArgs {
  WnBlockScoresParams p;
};

/// A warp per list and block of slots; queries come from the caches, which all warps of the device share.
__global__ void __launch_bounds__(32 * kWarps) block_scores_kernel(const __grid_constant__ BlockScoresArgs args) {
  const WnBlockScoresParams& p = args.p;
  let_successor_start();
  const int lane = threadIdx.x & 31, block = blockIdx.x * kWarps + threadIdx.x / 32;
  const int list = blockIdx.y, lists = gridDim.y, row = blockIdx.z, d = p.head_dim;
  wait_for_predecessor();
  if (block >= p.num_blocks) return;
  const int together = p.num_query_heads / lists, group_size = p.num_query_heads / p.num_kv_heads;
  // Bounds of a KV head are read once for all heads that share them.
  float low[kMostChannels], high[kMostChannels];
  int read = -1;
  bool has_slots = false;
  const float score = reduce_group(p.gqa, list * together, together, [&](int head) {
    const int kv_head = head / group_size;
    if (kv_head != read) {
      const float* bounds = p.summary + ((static_cast<int64_t>(row) * p.num_kv_heads + kv_head) * p.num_blocks + block) * 2 * d;
#pragma unroll
      for (int i = 0; i < kMostChannels; i++) {
        const int c = lane + 32 * i;
        low[i] = c < d ? bounds[c] : 0;
        high[i] = c < d ? bounds[d + c] : 0;
      }
      // A block without slots has its minimum above its maximum.
      has_slots = __shfl_sync(~0u, low[0], 0) <= __shfl_sync(~0u, high[0], 0);
      read = kv_head;
    }
    float bound = -INFINITY;
    for (int t = 0; t < p.query_len && has_slots; t++) {
      const int64_t q = ((static_cast<int64_t>(row) * p.query_len + t) * p.num_query_heads + head) * d;
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kMostChannels; i++) {
        if (32 * i >= d) break;
        const int c = lane + 32 * i;
        const float x = c < d ? load_element(p.q, q + c, p.q_type) : 0;
        sum += fmaxf(x * low[i], x * high[i]);
      }
      bound = fmaxf(bound, warp_sum(sum));
    }
    return bound;
  });
  if (lane == 0) p.scores[(static_cast<int64_t>(row) * lists + list) * p.num_blocks + block] = score;
}

}  // namespace
}  // namespace winnow

WnStatus wn_block_scores(const WnBlockScoresParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "block_scores: params is null");
  const WnBlockScoresParams& p = *params;
  WN_REQUIRE(p.q && p.summary && p.scores, "block_scores: a required pointer is null");
  WN_REQUIRE(p.rows > 0 && p.rows <= 65535 && p.query_len > 0 && p.num_kv_heads > 0 && p.num_query_heads > 0 &&
                 p.num_query_heads % p.num_kv_heads == 0 && p.num_query_heads <= 65535, "block_scores: counts");
  WN_REQUIRE(p.head_dim > 0 && p.head_dim <= 256 && p.num_blocks >= 0, "block_scores: head_dim or num_blocks");
  WN_REQUIRE(is_float_type(p.q_type) && p.gqa >= WN_GQA_NONE && p.gqa <= WN_GQA_ALL, "block_scores: q_type or gqa");
  if (p.num_blocks == 0) return ok();
  const dim3 grid(ceil_div(p.num_blocks, kWarps), lists_after(p.gqa, p.num_query_heads, p.num_kv_heads), p.rows);
  return cuda_status(launch_early(block_scores_kernel, grid, dim3(32 * kWarps), 0, static_cast<cudaStream_t>(stream), BlockScoresArgs{p}),
                     "block_scores");
}
