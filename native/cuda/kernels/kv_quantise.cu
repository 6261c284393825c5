#include "winnow_cuda/kv_quantise.h"

#include "device.cuh"
#include "quantised_page.h"

namespace winnow {
namespace {

constexpr int kThreads = 256;

struct QuantiseArgs {
  WnKvQuantiseParams p;
};

/// Scale and min of a group as they are stored, and what its codes are made with.
struct Quantiser {
  __half2 params;
  float scale, low, inverse;
  WN_DEVICE Quantiser(float lowest, float highest)
      : params(__halves2half2(__float2half_rn((highest - lowest) / 15), __float2half_rn(lowest))) {
    const float2 stored = __half22float2(params);
    scale = stored.x;
    low = stored.y;
    inverse = scale > 0 ? 1 / scale : 0;
  }
  /// The quotient is put right by its remainder, so that it rounds as a division would; 1.5 * 2^23 leaves the integer
  /// in the low bits.
  WN_DEVICE uint32_t code(float x) const {
    const float above = x - low, guess = above * inverse;
    const float quotient = fmaf(fmaf(-guess, scale, above), inverse, guess);
    return __float_as_uint(fminf(fmaxf(quotient, 0.f), 15.f) + 12582912.f) & 15;
  }
};

/// Eight neighbouring channels of a token.
struct Piece {
  uint4 words;
  WN_DEVICE float operator[](int i) const {
    const uint32_t word = i < 2 ? words.x : i < 4 ? words.y : i < 6 ? words.z : words.w;
    return i % 2 ? high_bf16(word) : low_bf16(word);
  }
};
WN_DEVICE void widen(float& low, float& high, float other_low, float other_high) {
  low = fminf(low, other_low);
  high = fmaxf(high, other_high);
}

/// One page a block, read once, sixteen bytes a thread and load. Keys: half the threads for each half page, a thread the
/// same eight channels of some tokens; the extremes meet in shared memory. Values: four lanes hold a group.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) kv_quantise_kernel(const __grid_constant__ QuantiseArgs args) {
  constexpr int kPieces = kHeadDim / 8, kSlots = 128 / kPieces, kTokens = 32 / kSlots, kUnits = 64 * kPieces / kThreads;
  const WnKvQuantiseParams& p = args.p;
  __shared__ float4 extremes[2][4][kPieces][4];  // of a warp: eight lows, eight highs
  const auto* page = reinterpret_cast<const uint4*>(static_cast<const __nv_bfloat16*>(p.pages) +
                                                    int64_t(p.source_pages[blockIdx.x]) * 128 * kHeadDim);
  char* target = static_cast<char*>(p.quantised) + p.target_pages[blockIdx.x] * quantised_page_bytes(kHeadDim);
  const int half = threadIdx.x / 128, slot = threadIdx.x % 128 / kPieces, piece = threadIdx.x % kPieces;
  const int first_token = 32 * half + slot;
  Piece keys[kTokens], values[kUnits];
#pragma unroll
  for (int i = 0; i < kTokens; i++) keys[i].words = page[(first_token + kSlots * i) * kPieces + piece];
#pragma unroll
  for (int i = 0; i < kUnits; i++) values[i].words = page[64 * kPieces + kThreads * i + threadIdx.x];

  float low[8], high[8];
#pragma unroll
  for (int c = 0; c < 8; c++) {
    low[c] = high[c] = keys[0][c];
#pragma unroll
    for (int i = 1; i < kTokens; i++) widen(low[c], high[c], keys[i][c], keys[i][c]);
#pragma unroll
    for (int step = kPieces; step < 32; step *= 2)
      widen(low[c], high[c], __shfl_xor_sync(~0u, low[c], step), __shfl_xor_sync(~0u, high[c], step));
  }
  if (threadIdx.x % 32 < kPieces) {
    float4* own = extremes[half][threadIdx.x / 32 % 4][piece];
#pragma unroll
    for (int i = 0; i < 2; i++) {
      own[i] = {low[4 * i], low[4 * i + 1], low[4 * i + 2], low[4 * i + 3]};
      own[2 + i] = {high[4 * i], high[4 * i + 1], high[4 * i + 2], high[4 * i + 3]};
    }
  }

#pragma unroll
  for (int i = 0; i < kUnits; i++) {
    float lowest = values[i][0], highest = lowest;
#pragma unroll
    for (int c = 1; c < 8; c++) widen(lowest, highest, values[i][c], values[i][c]);
#pragma unroll
    for (int step = 1; step <= 2; step *= 2)
      widen(lowest, highest, __shfl_xor_sync(~0u, lowest, step), __shfl_xor_sync(~0u, highest, step));
    const Quantiser quantiser(lowest, highest);
    const int unit = kThreads * i + threadIdx.x;
    uint32_t codes = 0;
#pragma unroll
    for (int c = 0; c < 8; c++) codes |= quantiser.code(values[i][c]) << (4 * c);
    reinterpret_cast<uint32_t*>(target + quantised_value_codes(kHeadDim))[unit] = codes;
    if (unit % 4 == 0) reinterpret_cast<__half2*>(target + quantised_value_params(kHeadDim))[unit / 4] = quantiser.params;
  }

  __syncthreads();
  uint32_t codes[kTokens] = {};
#pragma unroll
  for (int c = 0; c < 8; c++) {
    float lowest = INFINITY, highest = -INFINITY;
#pragma unroll
    for (int warp = 0; warp < 4; warp++) {
      const auto* other = reinterpret_cast<const float*>(extremes[half][warp][piece]);
      widen(lowest, highest, other[c], other[8 + c]);
    }
    const Quantiser quantiser(lowest, highest);
    if (slot == 0)
      reinterpret_cast<__half2*>(target + quantised_key_params(kHeadDim))[half * kHeadDim + 8 * piece + c] = quantiser.params;
#pragma unroll
    for (int i = 0; i < kTokens; i++) codes[i] |= quantiser.code(keys[i][c]) << (4 * c);
  }
#pragma unroll
  for (int i = 0; i < kTokens; i++)
    reinterpret_cast<uint32_t*>(target)[(first_token + kSlots * i) * kPieces + piece] = codes[i];
}

}  // namespace
}  // namespace winnow

int64_t wn_quantised_page_bytes(int32_t head_dim) { return winnow::quantised_page_bytes(head_dim); }

WnStatus wn_kv_quantise(const WnKvQuantiseParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "kv_quantise: params is null");
  const WnKvQuantiseParams& p = *params;
  WN_REQUIRE(p.pages && p.source_pages && p.target_pages && p.quantised, "kv_quantise: a required pointer is null");
  WN_REQUIRE(aligned(p.pages, 16) && aligned(p.quantised, 16), "kv_quantise: misaligned pointer");
  WN_REQUIRE(p.num_jobs > 0, "kv_quantise: num_jobs must be positive");
  WN_REQUIRE(p.head_dim == 64 || p.head_dim == 128, "kv_quantise: head_dim not 64 or 128");
  const auto kernel = p.head_dim == 64 ? kv_quantise_kernel<64> : kv_quantise_kernel<128>;
  kernel<<<p.num_jobs, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(QuantiseArgs{p});
  return launch_status("kv_quantise");
}
