#include "edit_check.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8;

WN_DEVICE int count_of(const WnCacheRotateParams& p, int head) { return p.lens[head] < 0 ? p.cache.kv_lens[head] : p.lens[head]; }
WN_DEVICE int slot_of(const WnCacheRotateParams& p, int head, int i) {
  return p.lens[head] < 0 ? i : p.slots[static_cast<int64_t>(head) * p.stride + i];
}

__global__ void __launch_bounds__(kCheckThreads) rotate_check_kernel(const __grid_constant__ WnCacheRotateParams p) {
  __shared__ int first_fault;
  const int head = blockIdx.x, len = p.cache.kv_lens[head], count = count_of(p, head);
  report_faults(p.report, p.cache.num_kv_heads, &first_fault, count, p.lens[head] >= -1 && count <= p.stride, [&](int i) {
    const int slot = slot_of(p, head, i);
    if (slot < (i == 0 ? 0 : slot_of(p, head, i - 1) + 1) || slot >= len) return static_cast<int>(WN_FAULT_SLOT);
    const int64_t delta = p.delta[static_cast<int64_t>(head) * p.stride + i];
    const int64_t position = p.cache.positions[arena_slot(p.cache, head, slot)] + delta;
    const bool fits = !p.cos_sin || (delta > -p.max_positions && delta < p.max_positions);
    return fits && position >= 0 && position <= INT32_MAX ? -1 : static_cast<int>(WN_FAULT_AMOUNT);
  });
}

/// A warp per slot.
__global__ void __launch_bounds__(32 * kWarps) cache_rotate_kernel(const __grid_constant__ WnCacheRotateParams p) {
  const int i = blockIdx.x * kWarps + threadIdx.x / 32, head = blockIdx.y, lane = threadIdx.x & 31;
  if (i >= count_of(p, head)) return;
  const int delta = p.delta[static_cast<int64_t>(head) * p.stride + i];
  const int64_t slot = arena_slot(p.cache, head, slot_of(p, head, i));
  if (delta == 0 || slot / 64 == p.frozen_page) return;
  if (lane == 0) p.cache.positions[slot] += delta;
  if (!p.cos_sin) return;
  const int half = p.rope_dims / 2;
  const float* angles = p.cos_sin + static_cast<int64_t>(delta < 0 ? -delta : delta) * p.rope_dims;
  __nv_bfloat16* key = const_cast<__nv_bfloat16*>(arena_row(p.cache, slot, 0));
  for (int c = lane; c < half; c += 32) {
    const float scale = p.cos_sin[c];
    const float cosine = angles[c] / scale, sine = (delta < 0 ? -angles[half + c] : angles[half + c]) / scale;
    const float a = __bfloat162float(key[c]), b = __bfloat162float(key[half + c]);
    key[c] = __float2bfloat16_rn(a * cosine - b * sine);
    key[half + c] = __float2bfloat16_rn(b * cosine + a * sine);
  }
}

WnStatus check_params(const WnCacheRotateParams* p) {
  WN_REQUIRE(p, "cache_rotate: params is null");
  WN_REQUIRE(is_cache_view(p->cache) && p->cache.rows == 1 && p->cache.positions && p->lens, "cache_rotate: pointers or sizes");
  WN_REQUIRE(p->stride >= 0 && (p->stride == 0 || (p->slots && p->delta)), "cache_rotate: lists");
  WN_REQUIRE(!p->cos_sin || (p->max_positions > 0 && p->rope_dims >= 2 && p->rope_dims % 2 == 0 && p->rope_dims <= p->cache.head_dim),
             "cache_rotate: the table");
  return ok();
}

}  // namespace
}  // namespace winnow

WnStatus wn_cache_rotate_check(const WnCacheRotateParams* params, void* stream) {
  using namespace winnow;
  if (const WnStatus status = check_params(params); status.code != WN_OK) return status;
  WN_REQUIRE(params->report, "cache_rotate: report is null");
  rotate_check_kernel<<<params->cache.num_kv_heads, kCheckThreads, 0, static_cast<cudaStream_t>(stream)>>>(*params);
  return launch_status("cache_rotate: check");
}

WnStatus wn_cache_rotate(const WnCacheRotateParams* params, void* stream) {
  using namespace winnow;
  if (const WnStatus status = check_params(params); status.code != WN_OK) return status;
  WN_REQUIRE(params->max_count >= 0 && params->max_count <= params->stride, "cache_rotate: max_count");
  if (params->max_count == 0) return ok();
  const dim3 grid(ceil_div(params->max_count, kWarps), params->cache.num_kv_heads);
  cache_rotate_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(*params);
  return launch_status("cache_rotate");
}
