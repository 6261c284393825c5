#include "winnow_cuda/attention_probs.h"

#include "mma.cuh"
#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 128;

struct ProbsArgs {
  WnAttentionProbsParams p;
};

/// A block takes a page of a row and KV head, a warp sixteen slots of it against eight heads at a time. Keys and queries go
/// from memory into the registers of the product: of each 32 channels lane t of four has eight neighbours, which both
/// operands number alike.
__global__ void __launch_bounds__(kThreads, 5) attention_probs_kernel(const __grid_constant__ ProbsArgs a) {
  const WnAttentionProbsParams& p = a.p;
  const WnCacheView& cache = p.cache;
  let_successor_start();
  const int lane = threadIdx.x & 31, g = lane / 4, t = lane % 4, row = blockIdx.z, kv_head = blockIdx.y;
  const int64_t segment = static_cast<int64_t>(row) * cache.num_kv_heads + kv_head;
  const int group_size = p.num_query_heads / cache.num_kv_heads, d = cache.head_dim;
  const int first = blockIdx.x * 64 + threadIdx.x / 32 * 16;
  wait_for_predecessor();
  const int slots = cache.kv_lens[segment];
  // A page past the end is none: any keys will do, since nothing of them is kept.
  const int64_t page = blockIdx.x * 64 < slots ? cache.page_table[segment * cache.page_table_stride + blockIdx.x] : 0;
  const auto* keys = static_cast<const __nv_bfloat16*>(cache.pages) + (page * 128 + first % 64 + g) * d + 8 * t;
  const float scale = p.softmax_scale * kLog2e;
  for (int first_head = 0; first_head < group_size; first_head += 8) {
    const int head = kv_head * group_size + min(first_head + g, group_size - 1);
    const auto* query = static_cast<const __nv_bfloat16*>(p.q) + (static_cast<int64_t>(row) * p.num_query_heads + head) * d + 8 * t;
    float scores[4] = {};
    for (int c = 0; c < d; c += 32) {
      const uint4 low = *reinterpret_cast<const uint4*>(keys + c), high = *reinterpret_cast<const uint4*>(keys + 8 * d + c);
      const uint4 b = *reinterpret_cast<const uint4*>(query + c);
      mma_16x8x16(scores, low.x, high.x, low.y, high.y, b.x, b.y);
      mma_16x8x16(scores, low.z, high.z, low.w, high.w, b.z, b.w);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int slot = first + g + 8 * (i / 2), own_head = first_head + 2 * t + i % 2;
      if (own_head >= group_size || slot >= p.max_slots) continue;
      const int64_t out = static_cast<int64_t>(row) * p.num_query_heads + kv_head * group_size + own_head;
      float weight = -INFINITY;
      if (slot < slots) {
        const float bias = cache.log_bias ? cache.log_bias[page * 64 + slot % 64] : 0, lse = p.lse[out];
        weight = lse == -INFINITY ? 0 : exp2_fast(fmaf(scores[i], scale, (bias - lse) * kLog2e));
      }
      p.probs[out * p.max_slots + slot] = weight;
    }
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_attention_probs(const WnAttentionProbsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "attention_probs: params is null");
  const WnAttentionProbsParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.cache.head_dim % 32 == 0, "attention_probs: the cache");
  WN_REQUIRE(p.q && p.lse && p.probs && aligned(p.q, 16), "attention_probs: a required pointer is null or misaligned");
  WN_REQUIRE(p.num_query_heads > 0 && p.num_query_heads % p.cache.num_kv_heads == 0, "attention_probs: head counts");
  WN_REQUIRE(p.softmax_scale > 0 && p.max_slots > 0 && p.max_slots < (int64_t{1} << 30), "attention_probs: softmax_scale or max_slots");
  const dim3 grid(static_cast<unsigned>(ceil_div(p.max_slots, int64_t{64})), p.cache.num_kv_heads, p.cache.rows);
  return cuda_status(launch_early(attention_probs_kernel, grid, dim3(kThreads), 0, static_cast<cudaStream_t>(stream), ProbsArgs{p}),
                     "attention_probs");
}
