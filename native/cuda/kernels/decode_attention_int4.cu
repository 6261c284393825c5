#include "winnow_cuda/decode_attention_int4.h"

#include "async_copy.cuh"
#include "lse_merge.cuh"
#include "mma.cuh"
#include "quantised_page.h"

namespace winnow {
namespace {

constexpr int kWarps = 8, kBlocksPerProcessor = 2;

struct Int4Args {
  const __nv_bfloat16* q;
  const char* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  float* part_out;  ///< [splits][batch * num_query_heads][head_dim]
  float* part_lse;
  int32_t num_segments, num_kv_heads, num_query_heads, group_size, page_table_stride;
  float scale_log2;
};

WN_DEVICE uint32_t as_word(__half2 pair) { return *reinterpret_cast<uint32_t*>(&pair); }
WN_DEVICE __half2 as_pair(uint32_t word) { return *reinterpret_cast<__half2*>(&word); }

/// Codes go into the products as they lie. Four bits alone in a half word are the f16 number code * 2^-24, shifted by four
/// code * 2^-20: exact, if small, and what is missing is made up for in the f32 sums.
WN_DEVICE uint32_t low_codes(uint32_t word) { return word & 0x000f000fu; }
WN_DEVICE uint32_t high_codes(uint32_t word) { return word & 0x00f000f0u; }
constexpr float kLowCode = 0x1p24f, kHighCode = 0x1p20f;
/// Weights are 2^kWeightShift times too large, so that few of them, times a scale, fall below what f16 can tell apart.
constexpr float kWeightShift = 8;

/// A warp takes 32 tokens (one key group) at a time. Scores: A = key codes, B = queries times the key scales; the mins are one
/// more product. Values: A = value codes, one group of channels a tile, B = weights times the scales of that group; the mins
/// again one more product.
template <int kHeadDim>
struct Int4Warp {
  static constexpr int kKeyWords = kHeadDim / 32;  ///< words of a token's key row a lane holds: channels kHeadDim/4 * t
  static constexpr int kGroups = kHeadDim / 32;    ///< of channels of a value
  /// Half a page as it lies in shared memory: key codes, value codes, key params, value params.
  static constexpr int kHalfValueCodes = 16 * kHeadDim, kHalfKeyParams = 32 * kHeadDim;
  static constexpr int kHalfValueParams = 36 * kHeadDim, kHalfBytes = 40 * kHeadDim;
  /// Value codes and key params lie swizzled: piece i of 32 is at i ^ (i / 8 & kSwizzle), so that the lanes that read at
  /// once meet different banks.
  static constexpr int kSwizzle = kHeadDim == 128 ? 3 : 1;
  const Int4Args& a;
  int g, t;
  __half2 q[4 * kKeyWords];  ///< query head g, channels (i, i + 4) of a word, times 4 for even i and 1/4 for odd
  float out[kGroups][2][4];  ///< channels 32 group + 4 g + 2 second + {0, 1} of heads 2 t and 2 t + 1, short of kLowCode, kHighCode
  float mins[4];             ///< of group g
  float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};  ///< of heads 2 t and 2 t + 1

  WN_DEVICE Int4Warp(const Int4Args& args, int segment) : a(args) {
    const int lane = threadIdx.x & 31, row = segment / a.num_kv_heads, kv_head = segment % a.num_kv_heads;
    g = lane / 4;
    t = lane % 4;
    const __nv_bfloat16* source =
        a.q + (static_cast<int64_t>(row) * a.num_query_heads + kv_head * a.group_size + g) * kHeadDim + 8 * kKeyWords * t;
#pragma unroll
    for (int i = 0; i < 4 * kKeyWords; i++) {
      const float factor = g < a.group_size ? (i % 2 ? 0.25f : 4.f) : 0;
      const __nv_bfloat16* pair = source + 8 * (i / 4) + i % 4;
      q[i] = g < a.group_size ? __floats2half2_rn(__bfloat162float(pair[0]) * factor, __bfloat162float(pair[4]) * factor)
                              : __float2half2_rn(0);
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      mins[r] = 0;
#pragma unroll
      for (int i = 0; i < 2 * kGroups; i++) out[i / 2][i % 2][r] = 0;
    }
  }

  /// Where piece i of a row of kGroups lies in the rows that this lane reads.
  WN_DEVICE int turned(int i) const { return 16 * (i ^ (kHeadDim == 128 ? t : t / 2)); }

  /// Scores of tokens 16 c + g (+ 8) against heads 2 t and 2 t + 1, in log2 units. `half_page` is half a page in shared memory.
  WN_DEVICE void scores(const char* half_page, float (&s)[2][4]) {
    uint32_t codes[4][kKeyWords];
#pragma unroll
    for (int c = 0; c < 4; c++)
#pragma unroll
      for (int w = 0; w < kKeyWords; w++)
        codes[c][w] = reinterpret_cast<const uint32_t*>(half_page + (8 * c + g) * (kHeadDim / 2))[kKeyWords * t + w];
    const char* params = half_page + kHalfKeyParams + 32 * kKeyWords * t;
    float even[4] = {}, odd[4] = {};
#pragma unroll
    for (int c = 0; c < 2; c++)
#pragma unroll
      for (int r = 0; r < 4; r++) s[c][r] = 0;
#pragma unroll
    for (int w = 0; w < kKeyWords; w++) {
      const char* row = params + 2 * w / kGroups * (16 * kGroups);
      const uint4 first = *reinterpret_cast<const uint4*>(row + turned(2 * w % kGroups));
      const uint4 second = *reinterpret_cast<const uint4*>(row + turned((2 * w + 1) % kGroups));
      const uint32_t lows[4] = {first.x, first.y, first.z, first.w}, highs[4] = {second.x, second.y, second.z, second.w};
      uint32_t scaled[4], base[4];  // of channels (i, i + 4)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        scaled[i] = as_word(__hmul2(q[4 * w + i], as_pair(__byte_perm(lows[i], highs[i], 0x5410))));
        base[i] = __byte_perm(lows[i], highs[i], 0x7632);
      }
      mma_16x8x16_half(even, base[0], 0, base[2], 0, as_word(q[4 * w]), as_word(q[4 * w + 2]));
      mma_16x8x16_half(odd, base[1], 0, base[3], 0, as_word(q[4 * w + 1]), as_word(q[4 * w + 3]));
#pragma unroll
      for (int c = 0; c < 2; c++)
#pragma unroll
        for (int shift = 0; shift < 2; shift++) {
          const uint32_t first_word = codes[2 * c][w] >> (8 * shift), second_word = codes[2 * c + 1][w] >> (8 * shift);
          mma_16x8x16_half(s[c], low_codes(first_word), low_codes(second_word), high_codes(first_word),
                           high_codes(second_word), scaled[2 * shift], scaled[2 * shift + 1]);
        }
    }
    const float factor = kLowCode / 4 * a.scale_log2;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float constant = (even[r] * 0.25f + odd[r] * 4) * a.scale_log2;
#pragma unroll
      for (int i = r; i < 8; i += 2) s[i / 4][i % 4] = fmaf(s[i / 4][i % 4], factor, constant);
    }
  }

  /// A token's codes of this lane in channel group j.
  WN_DEVICE uint32_t value_codes(const char* half_page, int token, int j) const {
    return *reinterpret_cast<const uint16_t*>(half_page + kHalfValueCodes + turned(j) + token * kHeadDim / 2 + 2 * g);
  }
  WN_DEVICE void values(const char* half_page, const float (&s)[2][4]) {
    const auto* params = reinterpret_cast<const uint32_t*>(half_page + kHalfValueParams);
#pragma unroll
    for (int step = 0; step < 2; step++) {  // 16 tokens: pairs (2 t, 2 t + 1) and 8 further
      uint32_t scales[2][kGroups], base[2];
      __half2 weights[2];
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const uint32_t* first = params + (16 * step + 8 * half + 2 * t) * kGroups;
        const uint32_t* second = first + kGroups;
#pragma unroll
        for (int j = 0; j < kGroups; j++) scales[half][j] = __byte_perm(first[j], second[j], 0x5410);
        base[half] = __byte_perm(first[g % kGroups], second[g % kGroups], 0x7632);
        weights[half] = as_pair(transpose_matrix(as_word(__floats2half2_rn(s[step][2 * half], s[step][2 * half + 1]))));
      }
      mma_16x8x16_half(mins, base[0], 0, base[1], 0, as_word(weights[0]), as_word(weights[1]));
#pragma unroll
      for (int j = 0; j < kGroups; j++) {
        uint32_t codes[2], scaled[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int token = 16 * step + 8 * half + 2 * t;
          codes[half] = __byte_perm(value_codes(half_page, token, j), value_codes(half_page, token + 1, j), 0x5410);
          scaled[half] = as_word(__hmul2(weights[half], as_pair(scales[half][j])));
        }
#pragma unroll
        for (int second = 0; second < 2; second++)
          mma_16x8x16_half(out[j][second], low_codes(codes[0] >> (8 * second)), high_codes(codes[0] >> (8 * second)),
                           low_codes(codes[1] >> (8 * second)), high_codes(codes[1] >> (8 * second)), scaled[0], scaled[1]);
      }
    }
  }

  /// Starts the copy of tokens 32 * half .. + 31 of a page.
  WN_DEVICE static void fetch(char* target, const char* page, int half) {
#pragma unroll
    for (int i = 0; i < kHalfBytes / 512; i++) {
      const int at = 512 * i + 16 * static_cast<int>(threadIdx.x & 31);
      // Sections of the page are twice as long as those of the half.
      const int section = at < kHalfValueCodes   ? 0
                          : at < kHalfKeyParams   ? kHalfValueCodes
                          : at < kHalfValueParams ? kHalfKeyParams
                                                  : kHalfValueParams;
      const int length = section < kHalfKeyParams ? 16 * kHeadDim : 4 * kHeadDim;
      const int piece = at / 16, moved = section == kHalfValueCodes || section == kHalfKeyParams ? piece ^ (piece / 8 & kSwizzle) : piece;
      async_copy_16(shared_address(target) + 16 * moved, page + 2 * section + half * length + (at - section), true);
    }
  }

  WN_DEVICE void take(const char* half_page, int valid) {
    float s[2][4];
    scores(half_page, s);
    float lifted[2], factor[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float best = maximum[r];
#pragma unroll
      for (int i = r; i < 8; i += 2) {
        float& score = s[i / 4][i % 4];
        if (8 * (i / 2) + g >= valid) score = -INFINITY;
        best = fmaxf(best, score);
      }
#pragma unroll
      for (int step = 4; step < 32; step *= 2) best = fmaxf(best, __shfl_xor_sync(~0u, best, step));
      const float shift = best == -INFINITY ? 0 : best;
      factor[r] = exp2_fast(maximum[r] - shift);
      lifted[r] = shift - kWeightShift;
      maximum[r] = best;
      sum[r] *= factor[r];
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float& score = s[i / 4][i % 4];
      score = exp2_fast(score - lifted[i % 2]);
      sum[i % 2] += score;
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      mins[r] *= factor[r % 2];
#pragma unroll
      for (int i = 0; i < 2 * kGroups; i++) out[i / 2][i % 2][r] *= factor[r % 2];
    }
    values(half_page, s);
  }
};

/// Each warp has a ring of two half pages of its own, so warps need no barrier while they run.
template <int kHeadDim>
__global__ void __launch_bounds__(32 * kWarps, kBlocksPerProcessor)
    decode_attention_int4_kernel(const __grid_constant__ Int4Args a) {
  using Warp = Int4Warp<kHeadDim>;
  extern __shared__ __align__(16) char ring[];
  __shared__ float maxima[kWarps][8], sums[kWarps][8];
  const int segment = blockIdx.y, warp = threadIdx.x / 32;
  const int32_t* table = a.page_table + static_cast<int64_t>(segment) * a.page_table_stride;
  let_successor_start();
  wait_for_predecessor();
  const int length = a.kv_lens[segment], groups = (length + 31) / 32;
  const int per_split = ceil_div(groups, static_cast<int>(gridDim.x));
  const int begin = blockIdx.x * per_split, end = min(begin + per_split, groups);
  Warp state(a, segment);
  char* own = ring + warp * 2 * Warp::kHalfBytes;
  auto page_of = [&](int group) { return group < end ? table[group / 2] : 0; };
  auto fetch = [&](int group, int page, int stage) {
    if (group < end)
      Warp::fetch(own + stage * Warp::kHalfBytes, a.pages + page * quantised_page_bytes(kHeadDim), group % 2);
    async_copy_commit();
  };
  fetch(begin + warp, page_of(begin + warp), 0);
  int next_page = page_of(begin + warp + kWarps);
#pragma unroll 1
  for (int i = begin + warp, stage = 0; i < end; i += kWarps, stage ^= 1) {
    fetch(i + kWarps, next_page, stage ^ 1);
    next_page = page_of(i + 2 * kWarps);
    async_copy_wait<1>();
    __syncwarp();
    state.take(own + stage * Warp::kHalfBytes, length - 32 * i);
    __syncwarp();
  }
  async_copy_wait<0>();
  __syncthreads();
  // The rings are done with; one more column keeps the rows a warp writes at once on different banks.
  auto outs = reinterpret_cast<float(*)[8][kHeadDim + 1]>(ring);
#pragma unroll
  for (int r = 0; r < 2; r++) {
    float total = state.sum[r];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) total += __shfl_xor_sync(~0u, total, step);
    if (state.g == 0) {
      maxima[warp][2 * state.t + r] = state.maximum[r];
      sums[warp][2 * state.t + r] = total;
    }
  }
#pragma unroll
  for (int j = 0; j < Warp::kGroups; j++) {
    const float mins[2] = {__shfl_sync(~0u, state.mins[0], 4 * j + state.t), __shfl_sync(~0u, state.mins[1], 4 * j + state.t)};
#pragma unroll
    for (int second = 0; second < 2; second++)
#pragma unroll
      for (int r = 0; r < 4; r++)
        outs[warp][2 * state.t + r % 2][32 * j + 4 * state.g + 2 * second + r / 2] =
            fmaf(state.out[j][second][r], r < 2 ? kLowCode : kHighCode, mins[r % 2]);
  }
  __syncthreads();
  const int row = segment / a.num_kv_heads, kv_head = segment % a.num_kv_heads;
  const int64_t rows = static_cast<int64_t>(a.num_segments) * a.group_size;
  for (int i = threadIdx.x; i < a.group_size * kHeadDim; i += 32 * kWarps) {
    const int head = i / kHeadDim, d = i % kHeadDim;
    float best = -INFINITY;
#pragma unroll
    for (int w = 0; w < kWarps; w++) best = fmaxf(best, maxima[w][head]);
    const float shift = best == -INFINITY ? 0 : best;
    float value = 0, weight_sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; w++) {
      const float weight = exp2_fast(maxima[w][head] - shift);
      value += weight * outs[w][head][d];
      weight_sum += weight * sums[w][head];
    }
    const int64_t at = blockIdx.x * rows + static_cast<int64_t>(row) * a.num_query_heads + kv_head * a.group_size + head;
    a.part_out[at * kHeadDim + d] = weight_sum > 0 ? value / weight_sum : 0;
    if (d == 0) a.part_lse[at] = weight_sum > 0 ? (best - kWeightShift) * kLn2 + logf(weight_sum) : -INFINITY;
  }
}

/// As many blocks as run at once: a few more would make a second round of few blocks. The count depends on the device
/// and the batch, never on lengths.
int num_splits(const WnDecodeAttentionInt4Params& p) {
  const int blocks = kBlocksPerProcessor * device_attribute(cudaDevAttrMultiProcessorCount);
  const int splits = blocks / (p.batch * p.num_kv_heads);
  return splits < 1 ? 1 : splits > 256 ? 256 : splits;
}

template <int kHeadDim>
WnStatus launch(const Int4Args& a, int splits, cudaStream_t stream) {
  constexpr int kRing = kWarps * 2 * Int4Warp<kHeadDim>::kHalfBytes, kOuts = kWarps * 8 * (kHeadDim + 1) * 4;
  constexpr int kShared = kRing > kOuts ? kRing : kOuts;
  const auto kernel = decode_attention_int4_kernel<kHeadDim>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  if (error != cudaSuccess) return cuda_status(error, "decode_attention_int4: shared memory");
  error = launch_early(kernel, dim3(splits, a.num_segments), dim3(32 * kWarps), kShared, stream, a);
  return cuda_status(error, "decode_attention_int4");
}

}  // namespace
}  // namespace winnow

int64_t wn_decode_attention_int4_workspace_bytes(const WnDecodeAttentionInt4Params* p) {
  if (!p || p->batch <= 0 || p->num_kv_heads <= 0) return 0;
  return static_cast<int64_t>(winnow::num_splits(*p)) * p->batch * p->num_query_heads * (p->head_dim + 1) * 4;
}

WnStatus wn_decode_attention_int4(const WnDecodeAttentionInt4Params* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "decode_attention_int4: params is null");
  const WnDecodeAttentionInt4Params& p = *params;
  WN_REQUIRE(p.head_dim == 64 || p.head_dim == 128, "decode_attention_int4: head_dim not 64 or 128");
  WN_REQUIRE(p.batch > 0 && p.num_kv_heads > 0 && p.num_query_heads > 0 && p.num_query_heads % p.num_kv_heads == 0 &&
                 static_cast<int64_t>(p.batch) * p.num_kv_heads <= 65535, "decode_attention_int4: counts");
  WN_REQUIRE(p.num_query_heads / p.num_kv_heads <= 8, "decode_attention_int4: group_size above 8");
  WN_REQUIRE(p.softmax_scale > 0, "decode_attention_int4: softmax_scale must be positive");
  WN_REQUIRE(p.q && p.pages && p.page_table && p.kv_lens && p.out, "decode_attention_int4: a pointer is null");
  WN_REQUIRE(aligned(p.q, 16) && aligned(p.out, 16) && aligned(p.pages, 16), "decode_attention_int4: misaligned");
  WN_REQUIRE(p.workspace && aligned(p.workspace, 16) &&
                 p.workspace_bytes >= wn_decode_attention_int4_workspace_bytes(&p), "decode_attention_int4: workspace");
  const int splits = num_splits(p), rows = p.batch * p.num_query_heads;
  Int4Args a{static_cast<const __nv_bfloat16*>(p.q), static_cast<const char*>(p.pages), p.page_table, p.kv_lens};
  a.part_out = static_cast<float*>(p.workspace);
  a.part_lse = a.part_out + static_cast<int64_t>(splits) * rows * p.head_dim;
  a.num_segments = p.batch * p.num_kv_heads;
  a.num_kv_heads = p.num_kv_heads;
  a.num_query_heads = p.num_query_heads;
  a.group_size = p.num_query_heads / p.num_kv_heads;
  a.page_table_stride = p.page_table_stride;
  a.scale_log2 = p.softmax_scale * kLog2e;
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const WnStatus status =
      p.head_dim == 64 ? launch<64>(a, splits, cuda_stream) : launch<128>(a, splits, cuda_stream);
  if (status.code) return status;
  return launch_lse_merge({a.part_out, a.part_lse, p.out, p.lse, splits, rows, p.head_dim}, cuda_stream);
}
