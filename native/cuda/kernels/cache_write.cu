#include "winnow_cuda/cache_write.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256;

struct CacheWriteArgs {
  WnCacheWriteParams p;
};

__global__ void __launch_bounds__(kThreads) cache_write_kernel(const __grid_constant__ CacheWriteArgs args) {
  const WnCacheWriteParams& p = args.p;
  const int words = p.head_dim / 8;
  const int64_t total = static_cast<int64_t>(p.batch) * p.num_tokens * p.num_kv_heads * words;
  const auto* k = static_cast<const uint4*>(p.k);
  const auto* v = static_cast<const uint4*>(p.v);
  auto* pages = static_cast<uint4*>(p.pages);
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int word = static_cast<int>(i % words);
    const int64_t vector = i / words;
    const int head = static_cast<int>(vector % p.num_kv_heads);
    const int64_t token = vector / p.num_kv_heads;
    const int64_t segment = token / p.num_tokens * p.num_kv_heads + head;
    const int slot = p.kv_lens[segment] + static_cast<int>(token % p.num_tokens);
    const int64_t page = p.page_table[segment * p.page_table_stride + slot / 64];
    const int64_t from = token * (p.token_stride / 8) + head * words + word;
    const int64_t to = (page * 128 + slot % 64) * words + word;
    pages[to] = k[from];
    pages[to + 64 * words] = v[from];
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_cache_write(const WnCacheWriteParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "cache_write: params is null");
  const WnCacheWriteParams& p = *params;
  WN_REQUIRE(p.k && p.v && p.pages && p.page_table && p.kv_lens, "cache_write: a required pointer is null");
  WN_REQUIRE(aligned(p.k, 16) && aligned(p.v, 16) && aligned(p.pages, 16), "cache_write: misaligned pointer");
  WN_REQUIRE(p.batch > 0 && p.num_tokens > 0 && p.num_kv_heads > 0, "cache_write: counts");
  WN_REQUIRE(p.head_dim > 0 && p.head_dim % 8 == 0 && p.token_stride % 8 == 0, "cache_write: no multiple of 8");
  const int64_t total = static_cast<int64_t>(p.batch) * p.num_tokens * p.num_kv_heads * (p.head_dim / 8);
  const int64_t blocks = ceil_div(total, kThreads);
  cache_write_kernel<<<static_cast<unsigned>(blocks < 4096 ? blocks : 4096), kThreads, 0,
                       static_cast<cudaStream_t>(stream)>>>(CacheWriteArgs{p});
  return launch_status("cache_write");
}
