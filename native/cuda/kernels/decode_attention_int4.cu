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
/// Nibbles i and i + 4 of a word as exact f16 numbers code - 8: or-ed into the mantissa of 1024, then 1032 taken off.
WN_DEVICE __half2 centred_codes(uint32_t word, int i) {
  return __hsub2(as_pair(((word >> (4 * i)) & 0x000f000fu) | 0x64006400u), as_pair(0x64086408u));
}

/// A warp takes 32 tokens (one key group) at a time. Scores: A = queries with the key scales folded in (8 of 16 rows
/// used), B = key codes straight from the page; the mins and the centre are one number per head. Values: A = transposed
/// value codes, scaled, B = the weights just made, in the registers where they were made. f16 throughout: scales and
/// mins are f16 already, codes are exact, and a folded query rounds eight times finer than in bf16.
template <int kHeadDim>
struct Int4Warp {
  static constexpr int kKeyWords = kHeadDim / 32;  ///< words of a token's key row a lane holds: channels kHeadDim/4 * t
  static constexpr int kValueWords = kHeadDim / 64, kTiles = kHeadDim / 16;  ///< value channels kHeadDim/8 * g
  /// Half a page as it lies in shared memory: key codes, value codes, key params, value params.
  static constexpr int kHalfValueCodes = 16 * kHeadDim, kHalfKeyParams = 32 * kHeadDim;
  static constexpr int kHalfValueParams = 36 * kHeadDim, kHalfBytes = 40 * kHeadDim;
  const Int4Args& a;
  int g, t;
  uint32_t q[4 * kKeyWords];  ///< query head g, this lane's channels in pairs
  float out[kTiles][4];
  float maximum = -INFINITY, sum = 0;

  WN_DEVICE Int4Warp(const Int4Args& args, int segment) : a(args) {
    const int lane = threadIdx.x & 31, row = segment / a.num_kv_heads, kv_head = segment % a.num_kv_heads;
    g = lane / 4;
    t = lane % 4;
    const auto* source = reinterpret_cast<const uint32_t*>(
        a.q + (static_cast<int64_t>(row) * a.num_query_heads + kv_head * a.group_size + g) * kHeadDim + 8 * kKeyWords * t);
#pragma unroll
    for (int i = 0; i < 4 * kKeyWords; i++) q[i] = g < a.group_size ? source[i] : 0;
#pragma unroll
    for (int i = 0; i < kTiles; i++)
#pragma unroll
      for (int r = 0; r < 4; r++) out[i][r] = 0;
  }

  /// Scores of head g against tokens 8 c + 2 t + {0, 1}, in log2 units. `half` is half a page in shared memory.
  WN_DEVICE void scores(const char* half, float (&s)[4][4]) {
    uint32_t codes[4][kKeyWords];
#pragma unroll
    for (int c = 0; c < 4; c++)
#pragma unroll
      for (int w = 0; w < kKeyWords; w++)
        codes[c][w] = reinterpret_cast<const uint32_t*>(half + (8 * c + g) * (kHeadDim / 2))[kKeyWords * t + w];
    const auto* params = reinterpret_cast<const __half2*>(half + kHalfKeyParams) + 8 * kKeyWords * t;
    float mins = 0, centre = 0;
#pragma unroll
    for (int c = 0; c < 4; c++)
#pragma unroll
      for (int r = 0; r < 4; r++) s[c][r] = 0;
#pragma unroll
    for (int w = 0; w < kKeyWords; w++) {
      uint32_t scaled[4];  // pairs of channels (i, i + 4), as magic_pair yields them
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float2 low = __half22float2(params[8 * w + i]), high = __half22float2(params[8 * w + i + 4]);
        const uint32_t word0 = q[4 * w + i / 2], word1 = q[4 * w + i / 2 + 2];
        const float q0 = i % 2 ? high_bf16(word0) : low_bf16(word0), q1 = i % 2 ? high_bf16(word1) : low_bf16(word1);
        const __half2 product = __floats2half2_rn(q0 * low.x * a.scale_log2, q1 * high.x * a.scale_log2);
        const float2 rounded = __half22float2(product);
        scaled[i] = as_word(product);
        // The rounded products are what the tensor cores see, so they are what the centre is taken from.
        mins += q0 * low.y + q1 * high.y;
        centre += rounded.x + rounded.y;
      }
#pragma unroll
      for (int c = 0; c < 4; c++) {
        mma_16x8x16_half(s[c], scaled[0], 0, scaled[1], 0, as_word(centred_codes(codes[c][w], 0)),
                         as_word(centred_codes(codes[c][w], 1)));
        mma_16x8x16_half(s[c], scaled[2], 0, scaled[3], 0, as_word(centred_codes(codes[c][w], 2)),
                         as_word(centred_codes(codes[c][w], 3)));
      }
    }
    float constant = mins * a.scale_log2 + 8 * centre;
    constant += __shfl_xor_sync(~0u, constant, 1);
    constant += __shfl_xor_sync(~0u, constant, 2);
#pragma unroll
    for (int c = 0; c < 4; c++) {
      s[c][0] += constant;
      s[c][1] += constant;
    }
  }

  WN_DEVICE void values(const char* half_page, const float (&s)[4][4]) {
    const char* codes = half_page + kHalfValueCodes;
    const auto* params = reinterpret_cast<const __half2*>(half_page + kHalfValueParams);
#pragma unroll
    for (int step = 0; step < 2; step++) {  // 16 tokens: pairs (2 t, 2 t + 1) and 8 further
      uint32_t pairs[2][kValueWords][2];
      __half2 scale[2], base[2];
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int token = 16 * step + 8 * half + 2 * t;
#pragma unroll
        for (int w = 0; w < kValueWords; w++) {
          const uint32_t first = reinterpret_cast<const uint32_t*>(codes + token * (kHeadDim / 2))[kValueWords * g + w];
          const uint32_t second =
              reinterpret_cast<const uint32_t*>(codes + (token + 1) * (kHeadDim / 2))[kValueWords * g + w];
          pairs[half][w][0] = __byte_perm(first, second, 0x5410);
          pairs[half][w][1] = __byte_perm(first, second, 0x7632);
        }
        const int channel_group = g * (kHeadDim / 8) / 32;
        const __half2 first_params = params[token * (kHeadDim / 32) + channel_group];
        const __half2 second_params = params[(token + 1) * (kHeadDim / 32) + channel_group];
        scale[half] = __lows2half2(first_params, second_params);
        base[half] = __hfma2(scale[half], __float2half2_rn(8), __highs2half2(first_params, second_params));
      }
      const uint32_t b0 = as_word(__floats2half2_rn(s[2 * step][0], s[2 * step][1]));
      const uint32_t b1 = as_word(__floats2half2_rn(s[2 * step + 1][0], s[2 * step + 1][1]));
#pragma unroll
      for (int tile = 0; tile < kTiles; tile++) {
        // Rows g and g + 8 of tile i are this lane's channels 2 i and 2 i + 1.
        uint32_t operand[2][2];
#pragma unroll
        for (int half = 0; half < 2; half++)
#pragma unroll
          for (int odd = 0; odd < 2; odd++) {
            const int channel = 2 * tile + odd;
            const __half2 code = centred_codes(pairs[half][channel / 8][channel / 4 % 2], channel % 4);
            operand[half][odd] = as_word(__hfma2(code, scale[half], base[half]));
          }
        mma_16x8x16_half(out[tile], operand[0][0], operand[0][1], operand[1][0], operand[1][1], b0, b1);
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
      async_copy_16(shared_address(target) + at, page + 2 * section + half * length + (at - section), true);
    }
  }

  WN_DEVICE void take(const char* half_page, int valid) {
    float s[4][4];
    scores(half_page, s);
    float best = maximum;
#pragma unroll
    for (int c = 0; c < 4; c++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        if (8 * c + 2 * t + i >= valid) s[c][i] = -INFINITY;
        best = fmaxf(best, s[c][i]);
      }
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 2));
    const float shift = best == -INFINITY ? 0 : best, factor = exp2_fast(maximum - shift);
    maximum = best;
    sum *= factor;
#pragma unroll
    for (int c = 0; c < 4; c++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        s[c][i] = exp2_fast(s[c][i] - shift);
        sum += s[c][i];
      }
    // Output columns are heads 2 t and 2 t + 1; their factors live in lanes with g = head.
    const float factor0 = __shfl_sync(~0u, factor, 8 * t), factor1 = __shfl_sync(~0u, factor, 8 * t + 4);
#pragma unroll
    for (int i = 0; i < kTiles; i++)
#pragma unroll
      for (int r = 0; r < 4; r++) out[i][r] *= r % 2 ? factor1 : factor0;
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
  const int length = a.kv_lens[segment], groups = (length + 31) / 32;
  const int per_split = ceil_div(groups, static_cast<int>(gridDim.x));
  const int begin = blockIdx.x * per_split, end = min(begin + per_split, groups);
  const int32_t* table = a.page_table + static_cast<int64_t>(segment) * a.page_table_stride;
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
  float total = state.sum;
  total += __shfl_xor_sync(~0u, total, 1);
  total += __shfl_xor_sync(~0u, total, 2);
  if (state.t == 0) {
    maxima[warp][state.g] = state.maximum;
    sums[warp][state.g] = total;
  }
#pragma unroll
  for (int i = 0; i < state.kTiles; i++)
#pragma unroll
    for (int r = 0; r < 4; r++)
      outs[warp][2 * state.t + r % 2][kHeadDim / 8 * state.g + 2 * i + r / 2] = state.out[i][r];
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
    if (d == 0) a.part_lse[at] = weight_sum > 0 ? best * kLn2 + logf(weight_sum) : -INFINITY;
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
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  if (error != cudaSuccess) return cuda_status(error, "decode_attention_int4: shared memory");
  kernel<<<dim3(splits, a.num_segments), 32 * kWarps, kShared, stream>>>(a);
  return launch_status("decode_attention_int4");
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
