#include "winnow_cuda/rope_append.h"

#include "element.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8, kMaxHeadDim = 256, kPerLane = kMaxHeadDim / 32;

struct RopeAppendArgs {
  WnRopeAppendParams p;
};

/// Where head `head` of the cache keeps slot `slot` of `row`.
WN_DEVICE int64_t slot_index(const WnCacheView& cache, int64_t list, int slot) {
  return static_cast<int64_t>(cache.page_table[list * cache.page_table_stride + slot / 64]) * 64 + slot % 64;
}

/// The 16 bytes around a word, into the L2.
WN_DEVICE void ask_for_word(const void* word) {
  prefetch_l2(static_cast<const char*>(word) - reinterpret_cast<uintptr_t>(word) % 16, 16);
}

/// A warp per token and head; lane l holds channels l, l + 32, ... and fetches the other half of its pairs from shared
/// memory, since head_dim and rope_dims may be anything. In a decode step the time is that of loads which depend on each
/// other, so all that can be asked for together is.
__global__ void __launch_bounds__(32 * kWarps) rope_append_kernel(const __grid_constant__ RopeAppendArgs args) {
  const WnRopeAppendParams& p = args.p;
  const WnCacheView& cache = p.cache;
  __shared__ float rows[kWarps][kMaxHeadDim];
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32, d = cache.head_dim;
  const int heads = p.num_query_heads + 2 * cache.num_kv_heads, head = blockIdx.y * kWarps + warp;
  const int64_t token = blockIdx.x;
  const bool is_query = head < p.num_query_heads, is_key = !is_query && head < p.num_query_heads + cache.num_kv_heads;
  const int g = head - p.num_query_heads - (is_key ? 0 : cache.num_kv_heads);
  const int64_t list = is_query ? 0 : token / p.num_tokens * cache.num_kv_heads + g;
  if (lane == 0 && head < heads) {
    ask_for_word(p.positions + token);
    if (!is_query) ask_for_word(cache.kv_lens + list);
  }
  let_successor_start();
  wait_for_predecessor();
  if (head >= heads) return;
  const int position = p.positions[token];
  const int slot = is_query ? 0 : cache.kv_lens[list] + static_cast<int>(token % p.num_tokens);
  float x[kPerLane];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int channel = lane + 32 * i;
    x[i] = channel < d ? load_element(p.qkv, (token * heads + head) * d + channel, p.qkv_type) : 0.0f;
    sum += x[i] * x[i];
  }
  const bool rotates = is_query || (is_key && !p.pre_rope_keys);
  const int half = p.rope_dims / 2;
  const float* table = p.cos_sin + static_cast<int64_t>(position) * p.rope_dims;
  float cosine[kPerLane], sine[kPerLane];
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int channel = lane + 32 * i, pair = channel < half ? channel : channel - half;
    const bool is_turned = rotates && channel < p.rope_dims;
    cosine[i] = is_turned ? table[pair] : 1.0f;
    sine[i] = is_turned ? table[half + pair] : 0.0f;
  }
  const int64_t at = is_query ? 0 : slot_index(cache, list, slot);
  const float* gain = is_query ? p.q_norm : is_key ? p.k_norm : nullptr;
  if (gain) {
    const float factor = rsqrtf(warp_sum(sum) / static_cast<float>(d) + p.epsilon);
#pragma unroll
    for (int i = 0; i < kPerLane; i++)
      if (lane + 32 * i < d) x[i] *= factor * gain[lane + 32 * i];
  }
  if (rotates) {
#pragma unroll
    for (int i = 0; i < kPerLane; i++)
      if (lane + 32 * i < d) rows[warp][lane + 32 * i] = x[i];
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      const int channel = lane + 32 * i;
      if (channel >= p.rope_dims) continue;
      x[i] = channel < half ? x[i] * cosine[i] - rows[warp][channel + half] * sine[i]
                            : x[i] * cosine[i] + rows[warp][channel - half] * sine[i];
    }
  }
  if (is_query) {
    auto* out = static_cast<__nv_bfloat16*>(p.q_out) + (token * p.num_query_heads + head) * d;
#pragma unroll
    for (int i = 0; i < kPerLane; i++)
      if (lane + 32 * i < d) out[lane + 32 * i] = __float2bfloat16(x[i]);
    return;
  }
  auto* out = static_cast<__nv_bfloat16*>(cache.pages) + (at / 64 * 128 + (is_key ? 0 : 64) + at % 64) * d;
#pragma unroll
  for (int i = 0; i < kPerLane; i++)
    if (lane + 32 * i < d) out[lane + 32 * i] = __float2bfloat16(x[i]);
  if (!is_key || lane > 0) return;
  if (cache.positions) cache.positions[at] = p.positions[token];
  if (cache.counts) cache.counts[at] = 1;
  if (cache.log_bias) cache.log_bias[at] = 0;
}

}  // namespace
}  // namespace winnow

WnStatus wn_rope_append(const WnRopeAppendParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "rope_append: params is null");
  const WnRopeAppendParams& p = *params;
  const WnCacheView& cache = p.cache;
  WN_REQUIRE(p.qkv && p.positions && p.cos_sin && p.q_out, "rope_append: a required pointer is null");
  WN_REQUIRE(cache.num_kv_heads == 0 || (cache.pages && cache.page_table && cache.kv_lens), "rope_append: cache pointers");
  WN_REQUIRE(cache.rows > 0 && p.num_tokens > 0 && p.num_query_heads > 0 && cache.num_kv_heads >= 0, "rope_append: counts");
  WN_REQUIRE(cache.head_dim > 0 && cache.head_dim <= kMaxHeadDim, "rope_append: head_dim not in 1 .. 256");
  WN_REQUIRE(p.rope_dims >= 0 && p.rope_dims % 2 == 0 && p.rope_dims <= cache.head_dim, "rope_append: rope_dims");
  WN_REQUIRE(is_float_type(p.qkv_type), "rope_append: qkv_type");
  const int heads = p.num_query_heads + 2 * cache.num_kv_heads;
  const dim3 grid(static_cast<unsigned>(static_cast<int64_t>(cache.rows) * p.num_tokens), ceil_div(heads, kWarps));
  const RopeAppendArgs args{p};
  return cuda_status(launch_early(rope_append_kernel, grid, dim3(32 * kWarps), 0, static_cast<cudaStream_t>(stream), args), "rope_append");
}
