#include "winnow_cuda/channel_scores.h"

#include "element.cuh"
#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8;

/// A warp per slot and list: lanes share the channels.
__global__ void __launch_bounds__(32 * kWarps) channel_scores_kernel(const __grid_constant__ WnChannelScoresParams p) {
  const int lane = threadIdx.x & 31, slot = blockIdx.x * kWarps + threadIdx.x / 32;
  const int out_list = blockIdx.y, out_lists = gridDim.y, row = blockIdx.z, d = p.cache.head_dim;
  if (slot >= p.max_len) return;
  const int together = p.num_query_heads / out_lists, group_size = p.num_query_heads / p.cache.num_kv_heads;
  const float score = reduce_group(p.gqa, out_list * together, together, [&](int head) {
    const int64_t kv_list = static_cast<int64_t>(row) * p.cache.num_kv_heads + head / group_size;
    if (slot >= p.cache.kv_lens[kv_list]) return -INFINITY;
    const __nv_bfloat16* key = arena_row(p.cache, arena_slot(p.cache, kv_list, slot), 0);
    const int64_t list = static_cast<int64_t>(row) * p.lists + head / (p.num_query_heads / p.lists);
    const int len = p.channel_lens[list];
    const int32_t* channels = p.channels + list * p.channel_stride;
    float best = -INFINITY;
    for (int t = 0; t < p.query_len; t++) {
      const int64_t q = ((static_cast<int64_t>(row) * p.query_len + t) * p.num_query_heads + head) * d;
      float sum = 0;
      for (int i = lane; i < (len < 0 ? d : len); i += 32) {
        const int c = len < 0 ? i : channels[i];
        sum = fmaf(load_element(p.q, q + c, p.q_type), __bfloat162float(key[c]), sum);
      }
      best = fmaxf(best, warp_sum(sum));
    }
    return best;
  });
  if (lane == 0) p.scores[(static_cast<int64_t>(row) * out_lists + out_list) * p.max_len + slot] = score;
}

}  // namespace
}  // namespace winnow

WnStatus wn_channel_scores(const WnChannelScoresParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "channel_scores: params is null");
  const WnChannelScoresParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.q && p.scores && p.channels && p.channel_lens, "channel_scores: pointers or sizes");
  WN_REQUIRE(p.query_len > 0 && p.num_query_heads > 0 && p.num_query_heads <= 65535 &&
                 p.num_query_heads % p.cache.num_kv_heads == 0, "channel_scores: counts of queries or heads");
  WN_REQUIRE(p.lists > 0 && p.num_query_heads % p.lists == 0 && p.channel_stride >= 0, "channel_scores: lists of channels");
  WN_REQUIRE(is_float_type(p.q_type) && p.gqa >= WN_GQA_NONE && p.gqa <= WN_GQA_ALL && p.max_len >= 0,
             "channel_scores: q_type, gqa or max_len");
  if (p.max_len == 0) return ok();
  const dim3 grid(ceil_div(p.max_len, kWarps), lists_after(p.gqa, p.num_query_heads, p.cache.num_kv_heads), p.cache.rows);
  channel_scores_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("channel_scores");
}
