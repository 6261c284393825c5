#include "winnow_cuda/block_summary.h"

#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 128;

struct BlockSummaryArgs {
  WnBlockSummaryParams p;
};

/// A CUDA block per block of slots; a thread per pair of channels.
__global__ void __launch_bounds__(kThreads) block_summary_kernel(const __grid_constant__ BlockSummaryArgs args) {
  const WnBlockSummaryParams& p = args.p;
  let_successor_start();
  wait_for_predecessor();
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + blockIdx.y;
  const int block = p.from_block + blockIdx.x, d = p.cache.head_dim, len = p.cache.kv_lens[list];
  const int64_t first = static_cast<int64_t>(block) * p.block_len;
  const int begin = static_cast<int>(min(first, static_cast<int64_t>(len)));
  const int end = static_cast<int>(min(first + p.block_len, static_cast<int64_t>(len)));
  float* low = p.summary + (list * p.num_blocks + block) * 2 * d;
  const int pair = threadIdx.x;
  if (2 * pair >= d) return;
  float2 least = {INFINITY, INFINITY}, most = {-INFINITY, -INFINITY};
#pragma unroll 4
  for (int slot = begin; slot < end; slot++) {
    const uint32_t word = reinterpret_cast<const uint32_t*>(arena_row(p.cache, arena_slot(p.cache, list, slot), 0))[pair];
    least = {fminf(least.x, low_bf16(word)), fminf(least.y, high_bf16(word))};
    most = {fmaxf(most.x, low_bf16(word)), fmaxf(most.y, high_bf16(word))};
  }
  reinterpret_cast<float2*>(low)[pair] = least;
  reinterpret_cast<float2*>(low + d)[pair] = most;
}

}  // namespace
}  // namespace winnow

WnStatus wn_block_summary(const WnBlockSummaryParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "block_summary: params is null");
  const WnBlockSummaryParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.summary, "block_summary: pointers or sizes");
  WN_REQUIRE(p.block_len > 0 && p.from_block >= 0 && p.num_blocks >= 0, "block_summary: block counts");
  if (p.from_block >= p.num_blocks) return ok();
  const dim3 grid(p.num_blocks - p.from_block, p.cache.num_kv_heads, p.cache.rows);
  return cuda_status(launch_early(block_summary_kernel, grid, dim3(kThreads), 0, static_cast<cudaStream_t>(stream), BlockSummaryArgs{p}),
                     "block_summary");
}
