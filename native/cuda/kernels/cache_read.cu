#include "winnow_cuda/cache_read.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 128;

/// A block reads one slot of one head; a slot's page is looked up once.
__global__ void __launch_bounds__(kThreads) cache_read_kernel(const __grid_constant__ WnCacheReadParams p) {
  const WnCacheView& cache = p.cache;
  const int64_t head = blockIdx.y, slot = blockIdx.x, place = head * p.max_len + slot;
  const bool is_used = slot < cache.kv_lens[head];
  const int64_t page = is_used ? cache.page_table[head * cache.page_table_stride + slot / WN_PAGE_SIZE] : 0;
  const int64_t entry = page * WN_PAGE_SIZE + slot % WN_PAGE_SIZE;
  if (p.what <= WN_READ_VALUES) {
    const int64_t row = page * 2 * WN_PAGE_SIZE + p.what * WN_PAGE_SIZE + slot % WN_PAGE_SIZE;
    const auto* source = static_cast<const __nv_bfloat16*>(cache.pages) + row * cache.head_dim;
    auto* out = static_cast<float*>(p.out) + place * cache.head_dim;
    for (int d = threadIdx.x; d < cache.head_dim; d += kThreads) out[d] = is_used ? __bfloat162float(source[d]) : 0.0f;
  } else if (threadIdx.x == 0) {
    if (p.what == WN_READ_BIAS) static_cast<float*>(p.out)[place] = is_used ? cache.log_bias[entry] : 0.0f;
    else static_cast<int32_t*>(p.out)[place] = !is_used ? 0 : p.what == WN_READ_COUNTS ? cache.counts[entry] : cache.positions[entry];
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_cache_read(const WnCacheReadParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "cache_read: params is null");
  const WnCacheReadParams& p = *params;
  const WnCacheView& cache = p.cache;
  WN_REQUIRE(p.out && cache.pages && cache.page_table && cache.kv_lens, "cache_read: a required pointer is null");
  WN_REQUIRE(p.what >= WN_READ_KEYS && p.what <= WN_READ_POSITIONS, "cache_read: what");
  WN_REQUIRE(p.what != WN_READ_BIAS || cache.log_bias, "cache_read: no bias");
  WN_REQUIRE(p.what != WN_READ_COUNTS || cache.counts, "cache_read: no counts");
  WN_REQUIRE(p.what != WN_READ_POSITIONS || cache.positions, "cache_read: no positions");
  WN_REQUIRE(p.max_len >= 1 && cache.rows * cache.num_kv_heads >= 1 && cache.rows * cache.num_kv_heads <= 65535, "cache_read: counts");
  const dim3 grid(static_cast<unsigned>(p.max_len), static_cast<unsigned>(cache.rows * cache.num_kv_heads));
  cache_read_kernel<<<grid, p.what <= WN_READ_VALUES ? kThreads : 32, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("cache_read");
}
