#include "winnow_cuda/cache_insert.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) cache_insert_kernel(const __grid_constant__ WnCacheInsertParams p) {
  const WnCacheView& cache = p.cache;
  const int64_t head = blockIdx.y, entry = head * p.num_entries + blockIdx.x;
  const int slot = p.slots[entry];
  if (slot < 0) return;
  const int64_t page = cache.page_table[head * cache.page_table_stride + slot / WN_PAGE_SIZE], at = slot % WN_PAGE_SIZE;
  auto* key = static_cast<__nv_bfloat16*>(cache.pages) + (page * 2 * WN_PAGE_SIZE + at) * cache.head_dim;
  __nv_bfloat16* value = key + WN_PAGE_SIZE * cache.head_dim;
  for (int d = threadIdx.x; d < cache.head_dim; d += kThreads) {
    key[d] = __float2bfloat16_rn(p.keys[entry * cache.head_dim + d]);
    value[d] = __float2bfloat16_rn(p.values[entry * cache.head_dim + d]);
  }
  if (threadIdx.x == 0) {
    cache.positions[page * WN_PAGE_SIZE + at] = p.positions[entry];
    cache.counts[page * WN_PAGE_SIZE + at] = p.counts[entry];
    cache.log_bias[page * WN_PAGE_SIZE + at] = p.bias[entry];
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_cache_insert(const WnCacheInsertParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "cache_insert: params is null");
  const WnCacheInsertParams& p = *params;
  const WnCacheView& cache = p.cache;
  WN_REQUIRE(p.keys && p.values && p.positions && p.counts && p.bias && p.slots, "cache_insert: a required pointer is null");
  WN_REQUIRE(cache.pages && cache.page_table && cache.positions && cache.counts && cache.log_bias, "cache_insert: the cache lacks a part");
  WN_REQUIRE(p.num_entries >= 1 && cache.rows == 1 && cache.num_kv_heads >= 1 && cache.num_kv_heads <= 65535, "cache_insert: counts");
  const dim3 grid(static_cast<unsigned>(p.num_entries), static_cast<unsigned>(cache.num_kv_heads));
  cache_insert_kernel<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("cache_insert");
}
