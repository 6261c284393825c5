#include "winnow_cuda/window_scores.h"

#include "mma.cuh"

namespace winnow {
namespace {

struct WindowArgs {
  WnWindowScoresParams p;
};

constexpr int kWarps = 4, kKeysPerWarp = 32, kKeysPerBlock = kWarps * kKeysPerWarp;

/// Pass 1, one KV head and 128 keys a block, 32 keys a warp held in registers: mean weight of each key per query head.
/// A lane's 16-byte piece of a row is channels 32 c + 8 t .. + 7; query and key agree on it, so their order inside
/// the product does not matter.
template <int kHeadDim>
__global__ void __launch_bounds__(32 * kWarps) window_weights_kernel(const __grid_constant__ WindowArgs args) {
  const WnWindowScoresParams& p = args.p;
  constexpr int kPieces = kHeadDim / 32, kColumns = kKeysPerWarp / 8;
  const int lane = threadIdx.x & 31, g = lane / 4, t = lane % 4;
  const int kv_head = blockIdx.y, group_size = p.num_query_heads / p.num_kv_heads, window = p.observation_window;
  const int first_key = blockIdx.x * kKeysPerBlock + (threadIdx.x / 32) * kKeysPerWarp;
  if (first_key >= p.num_scored) return;

  uint4 keys[kColumns][kPieces];
#pragma unroll
  for (int c = 0; c < kColumns; c++) {
    const int key = min(first_key + 8 * c + g, p.kv_len - 1);
    const __nv_bfloat16* row;
    if (p.pages) {
      const int64_t page = p.page_table[static_cast<int64_t>(kv_head) * p.page_table_stride + key / 64];
      row = static_cast<const __nv_bfloat16*>(p.pages) + (page * 128 + key % 64) * kHeadDim;
    } else {
      row = static_cast<const __nv_bfloat16*>(p.k) + key * p.kv_token_stride + kv_head * p.kv_head_stride;
    }
#pragma unroll
    for (int piece = 0; piece < kPieces; piece++)
      keys[c][piece] = *reinterpret_cast<const uint4*>(row + 32 * piece + 8 * t);
  }

  const float scale_log2 = p.softmax_scale * kLog2e;
  const int first_position = p.kv_len - window;
  for (int member = 0; member < group_size; member++) {
    const int head = kv_head * group_size + member;
    float sums[kColumns][2] = {};
    for (int base = 0; base < window; base += 16) {
      const int row0 = base + g, row1 = row0 + 8;
      const bool has0 = row0 < window, has1 = row1 < window;
      const auto* q = static_cast<const __nv_bfloat16*>(p.q_window);
      const int64_t stride = static_cast<int64_t>(p.num_query_heads) * kHeadDim;
      float s[kColumns][4] = {};
#pragma unroll
      for (int piece = 0; piece < kPieces; piece++) {
        const int channel = head * kHeadDim + 32 * piece + 8 * t;
        const uint4 zero = {0, 0, 0, 0};
        const uint4 a0 = has0 ? *reinterpret_cast<const uint4*>(q + row0 * stride + channel) : zero;
        const uint4 a1 = has1 ? *reinterpret_cast<const uint4*>(q + row1 * stride + channel) : zero;
#pragma unroll
        for (int c = 0; c < kColumns; c++) {
          mma_16x8x16(s[c], a0.x, a1.x, a0.y, a1.y, keys[c][piece].x, keys[c][piece].y);
          mma_16x8x16(s[c], a0.z, a1.z, a0.w, a1.w, keys[c][piece].z, keys[c][piece].w);
        }
      }
      const float* lse = p.lse + head * p.lse_head_stride;
      const float shift0 = has0 ? lse[row0] * kLog2e : 0, shift1 = has1 ? lse[row1] * kLog2e : 0;
#pragma unroll
      for (int c = 0; c < kColumns; c++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const int key = first_key + 8 * c + 2 * t + i;
          if (has0 && key <= first_position + row0) sums[c][i] += exp2_fast(fmaf(s[c][i], scale_log2, -shift0));
          if (has1 && key <= first_position + row1) sums[c][i] += exp2_fast(fmaf(s[c][i + 2], scale_log2, -shift1));
        }
    }
    float* target = static_cast<float*>(p.workspace) + static_cast<int64_t>(head) * p.num_scored;
#pragma unroll
    for (int c = 0; c < kColumns; c++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float sum = sums[c][i];
#pragma unroll
        for (int step = 4; step < 32; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
        const int key = first_key + 8 * c + 2 * t + i;
        if (g == 0 && key < p.num_scored) target[key] = sum / static_cast<float>(window);
      }
  }
}

/// Pass 2: pool each query head along tokens, then average over the group.
__global__ void __launch_bounds__(256) window_pool_kernel(const __grid_constant__ WindowArgs args) {
  const WnWindowScoresParams& p = args.p;
  const int key = blockIdx.x * 256 + threadIdx.x, kv_head = blockIdx.y;
  if (key >= p.num_scored) return;
  const int group_size = p.num_query_heads / p.num_kv_heads;
  const int reach = p.pool == WN_POOL_NONE ? 0 : p.pool_width / 2;
  const int begin = max(key - reach, 0), end = min(key + reach, p.num_scored - 1);
  float total = 0;
  for (int member = 0; member < group_size; member++) {
    const float* row = static_cast<const float*>(p.workspace) +
                       static_cast<int64_t>(kv_head * group_size + member) * p.num_scored;
    float sum = 0, best = 0;
    for (int i = begin; i <= end; i++) {
      sum += row[i];
      best = fmaxf(best, row[i]);
    }
    total += p.pool == WN_POOL_MAX ? best : p.pool == WN_POOL_MEAN ? sum / static_cast<float>(p.pool_width) : sum;
  }
  p.scores[static_cast<int64_t>(kv_head) * p.num_scored + key] = total / static_cast<float>(group_size);
}

}  // namespace
}  // namespace winnow

int64_t wn_window_scores_workspace_bytes(const WnWindowScoresParams* p) {
  return p ? static_cast<int64_t>(p->num_query_heads) * p->num_scored * 4 : 0;
}

WnStatus wn_window_scores(const WnWindowScoresParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "window_scores: params is null");
  const WnWindowScoresParams& p = *params;
  WN_REQUIRE(p.head_dim == 64 || p.head_dim == 128, "window_scores: head_dim not 64 or 128");
  WN_REQUIRE(p.num_kv_heads > 0 && p.num_kv_heads <= 65535 && p.num_query_heads > 0 &&
                 p.num_query_heads % p.num_kv_heads == 0, "window_scores: head counts");
  WN_REQUIRE(p.num_scored > 0 && p.num_scored <= p.kv_len, "window_scores: num_scored not in 1 .. kv_len");
  WN_REQUIRE(p.observation_window > 0 && p.observation_window <= p.kv_len, "window_scores: observation_window");
  WN_REQUIRE(p.pool >= WN_POOL_NONE && p.pool <= WN_POOL_MAX, "window_scores: unknown pool");
  WN_REQUIRE(p.pool == WN_POOL_NONE || (p.pool_width % 2 == 1 && p.pool_width > 0 && p.pool_width <= 63),
             "window_scores: pool_width not odd or not in 1 .. 63");
  WN_REQUIRE(p.q_window && p.lse && p.scores && aligned(p.q_window, 16), "window_scores: null or misaligned pointer");
  WN_REQUIRE(p.pages ? p.page_table && aligned(p.pages, 16)
                     : p.k && aligned(p.k, 16) && p.kv_token_stride % 8 == 0 && p.kv_head_stride % 8 == 0,
             "window_scores: keys null or misaligned");
  WN_REQUIRE(p.softmax_scale > 0, "window_scores: softmax_scale must be positive");
  WN_REQUIRE(p.workspace && p.workspace_bytes >= wn_window_scores_workspace_bytes(&p), "window_scores: workspace");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const dim3 grid(static_cast<unsigned>(ceil_div(p.num_scored, kKeysPerBlock)), p.num_kv_heads);
  if (p.head_dim == 64)
    window_weights_kernel<64><<<grid, 32 * kWarps, 0, cuda_stream>>>(WindowArgs{p});
  else
    window_weights_kernel<128><<<grid, 32 * kWarps, 0, cuda_stream>>>(WindowArgs{p});
  const WnStatus status = launch_status("window_scores");
  if (status.code) return status;
  const dim3 pool_grid(static_cast<unsigned>(ceil_div(p.num_scored, 256)), p.num_kv_heads);
  window_pool_kernel<<<pool_grid, 256, 0, cuda_stream>>>(WindowArgs{p});
  return launch_status("window_scores: pool");
}
