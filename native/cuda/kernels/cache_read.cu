#include "winnow_cuda/cache_read.h"

#include "device.cuh"
#include "packed_page.h"

namespace winnow {
namespace {

constexpr int kThreads = 128;

WN_DEVICE float packed_number(const WnPageFormat& format, int page, int what, int width, int slot, int channel) {
  const PackedPlaces places = packed_places(format.planes[0], format.planes[1], width, width);
  const auto* bytes = static_cast<const uint8_t*>(format.pages) + page * places.bytes;
  const WnPlaneFormat plane = format.planes[what];
  const uint8_t* codes = bytes + places.codes[what];
  const int at = slot * width + channel;
  if (plane.bits == 0) return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(codes)[at]);
  if (is_some_channels(plane)) {
    const uint8_t* numbers = bytes + places.params[what];
    for (int i = 0; i < plane.group; i++)
      if (numbers[i] == channel) return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(codes)[slot * plane.group + i]);
    return 0;
  }
  const float2 scale_min = __half22float2(reinterpret_cast<const __half2*>(bytes + places.params[what])[group_of(plane, width, slot, channel)]);
  const int code = codes[at * plane.bits / 8] >> (at * plane.bits % 8) & ((1 << plane.bits) - 1);
  return __fadd_rn(__fmul_rn(static_cast<float>(code), scale_min.x), scale_min.y);
}

/// A block reads one slot of one head; a slot's page is looked up once.
__global__ void __launch_bounds__(kThreads) cache_read_kernel(const __grid_constant__ WnCacheReadParams p) {
  const WnCacheView& cache = p.cache;
  const int64_t head = blockIdx.y, slot = blockIdx.x, place = head * p.max_len + slot;
  const bool is_used = slot < cache.kv_lens[head];
  const int32_t named = is_used ? cache.page_table[head * cache.page_table_stride + slot / WN_PAGE_SIZE] : 0;
  const WnPageFormat* format = named < 0 ? cache.formats + entry_format(named) : nullptr;
  const int64_t page = entry_page(named), entry = page * WN_PAGE_SIZE + slot % WN_PAGE_SIZE;
  if (p.what <= WN_READ_VALUES) {
    const int64_t row = page * 2 * WN_PAGE_SIZE + p.what * WN_PAGE_SIZE + slot % WN_PAGE_SIZE;
    const auto* source = static_cast<const __nv_bfloat16*>(cache.pages) + row * cache.head_dim;
    auto* out = static_cast<float*>(p.out) + place * cache.head_dim;
    for (int d = threadIdx.x; d < cache.head_dim; d += kThreads) {
      out[d] = !is_used ? 0.0f
               : format ? packed_number(*format, static_cast<int>(page), p.what, cache.head_dim, slot % WN_PAGE_SIZE, d)
                        : __bfloat162float(source[d]);
    }
  } else if (threadIdx.x == 0) {
    if (p.what == WN_READ_BIAS) static_cast<float*>(p.out)[place] = is_used ? (format ? format->log_bias : cache.log_bias)[entry] : 0.0f;
    else if (p.what == WN_READ_COUNTS) static_cast<int32_t*>(p.out)[place] = is_used ? (format ? format->counts : cache.counts)[entry] : 0;
    else static_cast<int32_t*>(p.out)[place] = is_used ? (format ? format->positions : cache.positions)[entry] : 0;
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
