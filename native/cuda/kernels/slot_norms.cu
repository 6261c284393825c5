#include "winnow_cuda/slot_norms.h"

#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8, kSlotsPerBlock = 64;

struct SlotNormsArgs {
  WnSlotNormsParams p;
};

/// A block makes 64 slots of one list, eight lanes a slot: 16 bytes a lane and step.
__global__ void __launch_bounds__(32 * kWarps) slot_norms_kernel(const __grid_constant__ SlotNormsArgs args) {
  const WnSlotNormsParams& p = args.p;
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + blockIdx.y;
  const int lane = threadIdx.x % 8, len = p.cache.kv_lens[list];
  for (int i = threadIdx.x / 8; i < kSlotsPerBlock; i += 4 * kWarps) {
    const int slot = blockIdx.x * kSlotsPerBlock + i;
    const bool is_there = slot < len;
    const __nv_bfloat16* row = arena_row(p.cache, is_there ? arena_slot(p.cache, list, slot) : 0, p.what);
    float sum = 0;
    for (int c = 8 * lane; is_there && c < p.cache.head_dim; c += 64) {
      const uint4 piece = *reinterpret_cast<const uint4*>(row + c);
      const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
      for (int k = 0; k < 4; k++) sum += low_bf16(words[k]) * low_bf16(words[k]) + high_bf16(words[k]) * high_bf16(words[k]);
    }
#pragma unroll
    for (int step = 1; step < 8; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (lane == 0 && slot < p.max_len) p.norms[list * p.max_len + slot] = is_there ? sqrtf(sum) : -INFINITY;
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_slot_norms(const WnSlotNormsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "slot_norms: params is null");
  const WnSlotNormsParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.norms, "slot_norms: pointers or sizes");
  WN_REQUIRE(p.max_len >= 0 && (p.what == 0 || p.what == 1), "slot_norms: max_len or what");
  if (p.max_len == 0) return ok();
  const dim3 grid(ceil_div(p.max_len, kSlotsPerBlock), p.cache.num_kv_heads, p.cache.rows);
  slot_norms_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(SlotNormsArgs{p});
  return launch_status("slot_norms");
}
