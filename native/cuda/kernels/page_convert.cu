#include "winnow_cuda/page_convert.h"

#include "device.cuh"
#include "packed_page.h"

namespace winnow {
namespace {

constexpr int kThreads = 256, kMaxWidth = 256;
constexpr float kHalfMax = 65504;

WN_DEVICE float bounded(float x) { return fminf(fmaxf(x, -kHalfMax), kHalfMax); }
WN_DEVICE float element_of(const uint32_t* words, int at) {
  const uint32_t word = words[at / 2];
  return at % 2 ? high_bf16(word) : low_bf16(word);
}

/// Elements in shared memory to codes and params. A thread first takes groups, then bytes that lie together.
WN_DEVICE void pack_plane(const WnPlaneFormat& plane, int width, const uint32_t* elements, uint8_t* codes, __half2* params) {
  const int groups = num_plane_groups(plane, width), across = plane.along == 0 ? width : width / plane.group;
  const auto levels = static_cast<float>((1 << plane.bits) - 1);
  for (int i = threadIdx.x; i < groups; i += kThreads) {
    const int first = plane.along == 0 ? i / across * plane.group * width + i % across : i / across * width + i % across * plane.group;
    const int step = plane.along == 0 ? width : 1;
    float low = INFINITY, high = -INFINITY;
    for (int j = 0; j < plane.group; j++) {
      const float x = element_of(elements, first + j * step);
      low = fminf(low, x);
      high = fmaxf(high, x);
    }
    if (!(low <= high)) low = high = 0;
    low = bounded(low);
    params[i] = __halves2half2(__float2half_rn(__fdiv_rn(__fsub_rn(bounded(high), low), levels)), __float2half_rn(low));
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 16 * width; i += kThreads) {  // four channels of a slot
    const int slot = i / (width / 4), channel = i % (width / 4) * 4;
    uint32_t word = 0;
    for (int j = 0; j < 4; j++) {
      const float2 scale_min = __half22float2(params[group_of(plane, width, slot, channel + j)]);
      const float inverse = scale_min.x > 0 ? __fdiv_rn(1.0f, scale_min.x) : 0;
      const float x = __fmul_rn(__fsub_rn(element_of(elements, slot * width + channel + j), scale_min.y), inverse);
      word |= static_cast<uint32_t>(rintf(fminf(fmaxf(x, 0.0f), levels))) << (j * plane.bits);
    }
    if (plane.bits == 8) reinterpret_cast<uint32_t*>(codes)[i] = word;
    else if (plane.bits == 4) reinterpret_cast<uint16_t*>(codes)[i] = static_cast<uint16_t>(word);
    else codes[i] = static_cast<uint8_t>(word);
  }
}

WN_DEVICE void unpack_plane(const WnPlaneFormat& plane, int width, const uint8_t* codes, const __half2* params, uint32_t* elements) {
  for (int i = threadIdx.x; i < 16 * width; i += kThreads) {
    const int slot = i / (width / 4), channel = i % (width / 4) * 4;
    const uint32_t word = plane.bits == 8   ? reinterpret_cast<const uint32_t*>(codes)[i]
                          : plane.bits == 4 ? reinterpret_cast<const uint16_t*>(codes)[i]
                                            : codes[i];
    float x[4];
    for (int j = 0; j < 4; j++) {
      const float2 scale_min = __half22float2(params[group_of(plane, width, slot, channel + j)]);
      const auto code = static_cast<float>(word >> (j * plane.bits) & ((1u << plane.bits) - 1));
      x[j] = __fadd_rn(__fmul_rn(code, scale_min.x), scale_min.y);
    }
    reinterpret_cast<uint2*>(elements)[i] = {pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3])};
  }
}

WN_DEVICE void take_channels(const int32_t* channels, int count, int width, const uint16_t* elements, uint16_t* taken, uint8_t* numbers) {
  for (int i = threadIdx.x; i < WN_PAGE_SIZE * count; i += kThreads) taken[i] = elements[i / count * width + channels[i % count]];
  for (int i = threadIdx.x; i < ceil_div(count, 16) * 16; i += kThreads) numbers[i] = static_cast<uint8_t>(i < count ? channels[i] : 0);
}
WN_DEVICE void spread_channels(const uint8_t* numbers, int count, int width, const uint16_t* taken, uint16_t* elements) {
  for (int i = threadIdx.x; i < 8 * width; i += kThreads) reinterpret_cast<uint4*>(elements)[i] = {0, 0, 0, 0};
  __syncthreads();
  for (int i = threadIdx.x; i < WN_PAGE_SIZE * count; i += kThreads) elements[i / count * width + numbers[i % count]] = taken[i];
}

/// A block converts the keys or the values of one page.
__global__ void __launch_bounds__(kThreads) page_convert_kernel(const __grid_constant__ WnPageConvertParams p) {
  __shared__ __align__(16) uint32_t elements[64 * kMaxWidth / 2];
  const int32_t from = p.source[blockIdx.x], to = p.target[blockIdx.x];
  const WnPageFormat& source = from < 0 ? p.formats[entry_format(from)] : p.elements;
  const WnPageFormat& target = to < 0 ? p.formats[entry_format(to)] : p.elements;
  const int what = blockIdx.y, width = what == 0 ? p.head_dim : p.head_dim_v;
  const PackedPlaces source_at = packed_places(source.planes[0], source.planes[1], p.head_dim, p.head_dim_v);
  const PackedPlaces target_at = packed_places(target.planes[0], target.planes[1], p.head_dim, p.head_dim_v);
  const auto* source_page = static_cast<const uint8_t*>(source.pages) + entry_page(from) * source_at.bytes;
  auto* target_page = static_cast<uint8_t*>(target.pages) + entry_page(to) * target_at.bytes;
  const WnPlaneFormat plane = source.planes[what], wanted = target.planes[what];
  const auto* codes = source_page + source_at.codes[what];
  auto* target_codes = target_page + target_at.codes[what];
  if (same_plane(plane, wanted)) {
    for (int i = threadIdx.x; i < code_bytes(plane, width) / 16; i += kThreads)
      reinterpret_cast<uint4*>(target_codes)[i] = reinterpret_cast<const uint4*>(codes)[i];
    for (int i = threadIdx.x; i < num_plane_groups(plane, width); i += kThreads)
      reinterpret_cast<uint32_t*>(target_page + target_at.params[what])[i] =
          reinterpret_cast<const uint32_t*>(source_page + source_at.params[what])[i];
  } else if (is_some_channels(wanted)) {
    take_channels(p.channels + static_cast<int64_t>(p.channel_list[blockIdx.x]) * p.channel_stride, wanted.group, width,
                  reinterpret_cast<const uint16_t*>(codes), reinterpret_cast<uint16_t*>(target_codes), target_page + target_at.params[what]);
  } else if (is_some_channels(plane)) {
    spread_channels(source_page + source_at.params[what], plane.group, width, reinterpret_cast<const uint16_t*>(codes),
                    reinterpret_cast<uint16_t*>(target_codes));
  } else if (plane.bits == 0) {
    for (int i = threadIdx.x; i < 8 * width; i += kThreads)
      reinterpret_cast<uint4*>(elements)[i] = reinterpret_cast<const uint4*>(codes)[i];
    __syncthreads();
    pack_plane(wanted, width, elements, target_codes, reinterpret_cast<__half2*>(target_page + target_at.params[what]));
  } else {
    unpack_plane(plane, width, codes, reinterpret_cast<const __half2*>(source_page + source_at.params[what]),
                 reinterpret_cast<uint32_t*>(target_codes));
  }
  if (what == 0 && threadIdx.x < WN_PAGE_SIZE) {
    const int64_t at = int64_t{entry_page(from)} * WN_PAGE_SIZE + threadIdx.x, put = int64_t{entry_page(to)} * WN_PAGE_SIZE + threadIdx.x;
    target.positions[put] = source.positions[at];
    target.counts[put] = source.counts[at];
    target.log_bias[put] = source.log_bias[at];
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_page_convert(const WnPageConvertParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "page_convert: params is null");
  const WnPageConvertParams& p = *params;
  WN_REQUIRE(p.elements.pages && p.formats && p.source && p.target, "page_convert: a required pointer is null");
  WN_REQUIRE(p.elements.planes[0].bits == 0 && p.elements.planes[1].bits == 0, "page_convert: elements with bits");
  WN_REQUIRE(p.num_jobs > 0, "page_convert: num_jobs must be positive");
  for (int width : {p.head_dim, p.head_dim_v})
    WN_REQUIRE(width > 0 && width % 8 == 0 && width <= kMaxWidth, "page_convert: widths not multiples of 8 up to 256");
  WN_REQUIRE(!p.channels || (p.channel_list && p.channel_stride > 0), "page_convert: lists of channels");
  page_convert_kernel<<<dim3(p.num_jobs, 2), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("page_convert");
}
