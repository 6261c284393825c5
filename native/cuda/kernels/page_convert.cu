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

/// What the codes of a group are made with: its minimum as stored, and 1 over its scale as stored, 0 where that is 0.
struct Quantiser {
  float low, inverse;
};
/// Of a group's extremes; NaN where it has no number.
WN_DEVICE Quantiser quantiser_of(float low, float high, float levels, __half2* params) {
  if (!(low <= high)) low = high = 0;
  low = bounded(low);
  *params = __halves2half2(__float2half_rn(__fdiv_rn(__fsub_rn(bounded(high), low), levels)), __float2half_rn(low));
  const float2 stored = __half22float2(*params);
  return {stored.y, stored.x > 0 ? __fdiv_rn(1.0f, stored.x) : 0};
}
WN_DEVICE uint32_t code_of(float x, const Quantiser& quantiser, float levels) {
  const float scaled = fminf(fmaxf(__fmul_rn(__fsub_rn(x, quantiser.low), quantiser.inverse), 0.0f), levels);
  return __float_as_uint(scaled + 12582912.0f) & 255;  // 1.5 * 2^23: the sum's last bits are the integer, rounded to even
}
WN_DEVICE void widen(float& low, float& high, float other_low, float other_high) {
  low = fminf(low, other_low);
  high = fmaxf(high, other_high);
}
WN_DEVICE float channel_of(const uint4& piece, int c) {
  const uint32_t word = c < 2 ? piece.x : c < 4 ? piece.y : c < 6 ? piece.z : piece.w;
  return c % 2 ? high_bf16(word) : low_bf16(word);
}

/// Groups that packing does without shared copies of the elements: 32 or 64 slots, or 16, 32 or 64 channels.
WN_DEVICE bool packs_in_registers(const WnPlaneFormat& plane, int width) {
  return (width == 64 || width == 128) && (plane.group == 32 || plane.group == 64 || (plane.along == 1 && plane.group == 16));
}

/// The same as pack_plane. A thread holds eight neighbouring channels of some slots. Groups of channels meet by shuffles, those of
/// slots in shared memory: extremes of each warp's slots first, then what each group's codes are made with.
template <int kWidth>
WN_DEVICE void pack_in_registers(const WnPlaneFormat& plane, const uint4* elements, uint8_t* codes, __half2* params, float* shared) {
  constexpr int kPieces = kWidth / 8, kStep = kThreads / kPieces, kRows = WN_PAGE_SIZE / kStep, kWarps = kThreads / 32;
  const int piece = threadIdx.x % kPieces, warp = threadIdx.x / 32;
  const auto levels = static_cast<float>((1 << plane.bits) - 1);
  uint4 rows[kRows];
#pragma unroll
  for (int i = 0; i < kRows; i++) rows[i] = elements[kThreads * i + threadIdx.x];
  auto store = [&](int i, auto quantiser) {
    uint32_t low = 0, high = 0;
#pragma unroll
    for (int c = 0; c < 4; c++) {
      low |= code_of(channel_of(rows[i], c), quantiser(c), levels) << (c * plane.bits);
      high |= code_of(channel_of(rows[i], 4 + c), quantiser(4 + c), levels) << (c * plane.bits);
    }
    const int at = kThreads * i + threadIdx.x;
    if (plane.bits == 8) reinterpret_cast<uint2*>(codes)[at] = {low, high};
    else if (plane.bits == 4) reinterpret_cast<uint32_t*>(codes)[at] = low | high << 16;
    else reinterpret_cast<uint16_t*>(codes)[at] = static_cast<uint16_t>(low | high << 8);
  };
  if (plane.along == 1) {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      float low = channel_of(rows[i], 0), high = low;
#pragma unroll
      for (int c = 1; c < 8; c++) widen(low, high, channel_of(rows[i], c), channel_of(rows[i], c));
#pragma unroll
      for (int step = 1; step < 8; step *= 2) {
        const float other_low = __shfl_xor_sync(~0u, low, step), other_high = __shfl_xor_sync(~0u, high, step);
        if (8 * step < plane.group) widen(low, high, other_low, other_high);
      }
      __half2 own;
      const Quantiser quantiser = quantiser_of(low, high, levels, &own);
      const int lanes = plane.group / 8, at = kThreads * i + threadIdx.x;
      if (at % lanes == 0) params[at / lanes] = own;
      store(i, [&](int) { return quantiser; });
    }
    return;
  }
  // Rows of the two halves of a page: the first and the second half of a thread's.
  auto extremes = reinterpret_cast<float2(*)[kWarps][kWidth]>(shared);  // [half][warp][channel]
#pragma unroll
  for (int half = 0; half < 2; half++)
#pragma unroll
    for (int c = 0; c < 8; c++) {
      float low = channel_of(rows[half * kRows / 2], c), high = low;
#pragma unroll
      for (int i = 1; i < kRows / 2; i++) widen(low, high, channel_of(rows[half * kRows / 2 + i], c), channel_of(rows[half * kRows / 2 + i], c));
#pragma unroll
      for (int step = kPieces; step < 32; step *= 2) widen(low, high, __shfl_xor_sync(~0u, low, step), __shfl_xor_sync(~0u, high, step));
      if (threadIdx.x % 32 < kPieces) extremes[half][warp][8 * piece + c] = {low, high};
    }
  __syncthreads();
  auto quantisers = reinterpret_cast<Quantiser(*)[kWidth]>(shared + 2 * 2 * kWarps * kWidth);  // [half][channel]
  if (threadIdx.x < 2 * kWidth) {
    const int half = threadIdx.x / kWidth, channel = threadIdx.x % kWidth;
    float2 all = extremes[half][0][channel];
#pragma unroll
    for (int i = 1; i < 2 * kWarps; i++) {
      if (i >= kWarps && plane.group == 32) continue;
      const float2 other = extremes[half ^ (i / kWarps)][i % kWarps][channel];
      widen(all.x, all.y, other.x, other.y);
    }
    __half2 own;
    quantisers[half][channel] = quantiser_of(all.x, all.y, levels, &own);
    if (plane.group == 32 || half == 0) params[threadIdx.x] = own;
  }
  __syncthreads();
#pragma unroll
  for (int half = 0; half < 2; half++) {
    Quantiser own[8];
#pragma unroll
    for (int c = 0; c < 8; c += 2) {
      const float4 two = *reinterpret_cast<const float4*>(&quantisers[half][8 * piece + c]);
      own[c] = {two.x, two.y};
      own[c + 1] = {two.z, two.w};
    }
#pragma unroll
    for (int i = 0; i < kRows / 2; i++) store(half * kRows / 2 + i, [&](int c) { return own[c]; });
  }
}

WN_DEVICE void unpack_plane(const WnPlaneFormat& plane, int width, const uint8_t* codes, const __half2* params, uint32_t* elements) {
  for (int i = threadIdx.x; i < 16 * width; i += kThreads) {
    const int slot = i / (width / 4), channel = i % (width / 4) * 4;
    const uint32_t word = plane.bits == 8   ? reinterpret_cast<const uint32_t*>(codes)[i]
                          : plane.bits == 4 ? reinterpret_cast<const uint16_t*>(codes)[i]
                                            : codes[i];
    const int first = group_of(plane, width, slot, channel), step = plane.along == 0 ? 1 : 0;
    float x[4];
    for (int j = 0; j < 4; j++) {
      const int own = step == 1 || plane.group % 4 == 0 ? first + j * step : group_of(plane, width, slot, channel + j);
      const float2 scale_min = __half22float2(params[own]);
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
#pragma unroll 4
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
  } else if (plane.bits == 0 && packs_in_registers(wanted, width)) {
    auto* params = reinterpret_cast<__half2*>(target_page + target_at.params[what]);
    auto* shared = reinterpret_cast<float*>(elements);
    if (width == 128) pack_in_registers<128>(wanted, reinterpret_cast<const uint4*>(codes), target_codes, params, shared);
    else pack_in_registers<64>(wanted, reinterpret_cast<const uint4*>(codes), target_codes, params, shared);
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
