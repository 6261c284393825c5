#include "winnow_cuda/decode_packed.h"

#include "decode_packed.cuh"
#include "lse_merge.cuh"

namespace winnow {
namespace {

/// Bytes of 128 channels fill the shared memory of a processor with one block of more warps; all others leave room for two.
template <int kHeadDim, int kBits>
struct Shape {
  static constexpr bool kIsLarge = kHeadDim == 128 && kBits == 8;
  static constexpr int kWarps = kIsLarge ? 12 : 8, kBlocksPerProcessor = kIsLarge ? 1 : 2;
};

/// Each warp has a ring of two half pages of its own, so warps need no barrier while they run. The kernel behind is not let in
/// before this one has ended: what follows the join would crowd the multiprocessors that are free first, and run on those alone.
template <int kHeadDim, int kBits>
__global__ void __launch_bounds__(32 * Shape<kHeadDim, kBits>::kWarps, Shape<kHeadDim, kBits>::kBlocksPerProcessor)
    decode_packed_kernel(const __grid_constant__ PackedArgs a) {
  using Warp = PackedWarp<kHeadDim, kBits>;
  constexpr int kWarps = Shape<kHeadDim, kBits>::kWarps;
  extern __shared__ __align__(128) char ring[];
  __shared__ float maxima[kWarps][8], sums[kWarps][8];
  const int segment = blockIdx.y, warp = threadIdx.x / 32;
  wait_for_predecessor();
  auto range = [&](int& first, int& end) {
    const int groups = (a.kv_lens[segment] + 31) / 32, per_split = ceil_div(groups, static_cast<int>(gridDim.x));
    first = blockIdx.x * per_split + warp;
    end = min((static_cast<int>(blockIdx.x) + 1) * per_split, groups);
  };
  int first, end;
  range(first, end);
  auto entry_of = [&](int group) {
    return group < end ? a.page_table[static_cast<uint32_t>(segment * a.page_table_stride) + static_cast<uint32_t>(group) / 2] : 0;
  };
  char* const own = ring + warp * 2 * static_cast<int>(Warp::kHalfBytes);
  auto fetch = [&](uint32_t group, int32_t entry, uint32_t stage) {
    if (entry < 0) Warp::fetch(a, shared_address(own) + stage * Warp::kHalfBytes, entry, group % 2);
    async_copy_commit();
  };
  fetch(first, entry_of(first), 0);
  int32_t next = entry_of(first + kWarps);
  Warp state(a, segment);
  bool has_elements = false;
#pragma unroll 1
  for (int i = first, stage = 0; i < end; i += kWarps, stage ^= 1) {
    fetch(i + kWarps, next, stage ^ 1);
    next = entry_of(i + 2 * kWarps);
    async_copy_wait<1>();
    __syncwarp();
    if (entry_of(i) < 0) {  // looked up again, as is the length below: a register is dearer
      const char* half_page = own + stage * Warp::kHalfBytes;
      float s[2][4];
      state.scores(half_page, s);
      state.weigh(s, a.kv_lens[segment] - 32 * i);
      state.values(half_page + Warp::kPartBytes, s);
    } else {
      has_elements = true;
    }
    __syncwarp();
  }
  // In a loop of their own, and with the range looked up again, elements do not compete with codes for registers.
  if (has_elements) {
    range(first, end);
#pragma unroll 1
    for (int i = first; i < end; i += kWarps) {
      const int32_t page = entry_of(i);
      if (page < 0) continue;
      const __nv_bfloat16* keys = a.elements + (static_cast<int64_t>(page) * 128 + i % 2 * 32) * kHeadDim;
      float s[2][4];
      state.element_scores(state.query_of(segment), keys, s);
      state.weigh(s, a.kv_lens[segment] - 32 * i);
      state.element_values(keys + 64 * kHeadDim, s);
    }
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
    const float minima[2] = {__shfl_sync(~0u, state.minima[0], 4 * j + state.t), __shfl_sync(~0u, state.minima[1], 4 * j + state.t)};
#pragma unroll
    for (int second = 0; second < 2; second++)
#pragma unroll
      for (int r = 0; r < 4; r++)
        outs[warp][2 * state.t + r % 2][32 * j + 4 * state.g + 2 * second + r / 2] =
            fmaf(state.out[j][second][r], power_of_two(r < 2 ? Warp::kLackEven : Warp::kLackOdd), minima[r % 2]);
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

int bits_of(const WnDecodePackedParams& p) { return p.format.planes[0].bits; }

/// As many blocks as run at once: a few more would make a second round of few blocks. The count depends on the device, the format
/// and the batch, never on lengths.
int num_splits(const WnDecodePackedParams& p) {
  const int per_processor = p.cache.head_dim == 128 && bits_of(p) == 8 ? 1 : 2;
  const int splits = per_processor * device_attribute(cudaDevAttrMultiProcessorCount) / (p.cache.rows * p.cache.num_kv_heads);
  return splits < 1 ? 1 : splits > 256 ? 256 : splits;
}

template <int kHeadDim, int kBits>
WnStatus launch(const PackedArgs& a, int splits, cudaStream_t stream) {
  constexpr int kWarps = Shape<kHeadDim, kBits>::kWarps;
  constexpr int kRing = kWarps * 2 * static_cast<int>(PackedWarp<kHeadDim, kBits>::kHalfBytes), kOuts = kWarps * 8 * (kHeadDim + 1) * 4;
  constexpr int kShared = kRing > kOuts ? kRing : kOuts;
  const auto kernel = decode_packed_kernel<kHeadDim, kBits>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  if (error != cudaSuccess) return cuda_status(error, "decode_packed: shared memory");
  error = launch_early(kernel, dim3(splits, a.num_segments), dim3(32 * kWarps), kShared, stream, a);
  return cuda_status(error, "decode_packed");
}
template <int kHeadDim>
WnStatus dispatch(int bits, const PackedArgs& a, int splits, cudaStream_t stream) {
  return bits == 8   ? launch<kHeadDim, 8>(a, splits, stream)
         : bits == 4 ? launch<kHeadDim, 4>(a, splits, stream)
                     : launch<kHeadDim, 2>(a, splits, stream);
}

}  // namespace
}  // namespace winnow

int32_t wn_decode_packed_takes(const WnPlaneFormat* keys, const WnPlaneFormat* values, int32_t head_dim) {
  return winnow::decode_packed_takes(*keys, *values, head_dim);
}

int64_t wn_decode_packed_workspace_bytes(const WnDecodePackedParams* p) {
  if (!p || p->cache.rows <= 0 || p->cache.num_kv_heads <= 0) return 0;
  return static_cast<int64_t>(winnow::num_splits(*p)) * p->cache.rows * p->num_query_heads * (p->cache.head_dim + 1) * 4;
}

WnStatus wn_decode_packed(const WnDecodePackedParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "decode_packed: params is null");
  const WnDecodePackedParams& p = *params;
  const WnCacheView& cache = p.cache;
  WN_REQUIRE(wn_decode_packed_takes(&p.format.planes[0], &p.format.planes[1], cache.head_dim), "decode_packed: format");
  WN_REQUIRE(cache.rows > 0 && cache.num_kv_heads > 0 && p.num_query_heads > 0 && p.num_query_heads % cache.num_kv_heads == 0 &&
                 static_cast<int64_t>(cache.rows) * cache.num_kv_heads <= 65535 &&
                 static_cast<int64_t>(cache.rows) * cache.num_kv_heads * cache.page_table_stride < INT32_MAX, "decode_packed: counts");
  WN_REQUIRE(p.num_query_heads / cache.num_kv_heads <= 8, "decode_packed: group_size above 8");
  WN_REQUIRE(p.softmax_scale > 0, "decode_packed: softmax_scale must be positive");
  WN_REQUIRE(p.q && p.format.pages && cache.pages && cache.page_table && cache.kv_lens && p.out, "decode_packed: a pointer is null");
  WN_REQUIRE(aligned(p.q, 16) && aligned(p.out, 16) && aligned(cache.pages, 16) && aligned(p.format.pages, 16), "decode_packed: misaligned");
  WN_REQUIRE(p.workspace && aligned(p.workspace, 16) && p.workspace_bytes >= wn_decode_packed_workspace_bytes(&p),
             "decode_packed: workspace null, misaligned or too small");
  const int splits = num_splits(p), rows = cache.rows * p.num_query_heads;
  const WnPlaneFormat &keys = p.format.planes[0], &values = p.format.planes[1];
  PackedArgs a{static_cast<const __nv_bfloat16*>(p.q), static_cast<const __nv_bfloat16*>(cache.pages),
               static_cast<const char*>(p.format.pages), cache.page_table, cache.kv_lens};
  a.part_out = static_cast<float*>(p.workspace);
  a.part_lse = a.part_out + static_cast<int64_t>(splits) * rows * cache.head_dim;
  a.page_bytes = packed_places(keys, values, cache.head_dim, cache.head_dim).bytes;
  a.num_segments = cache.rows * cache.num_kv_heads;
  a.num_kv_heads = cache.num_kv_heads;
  a.num_query_heads = p.num_query_heads;
  a.group_size = p.num_query_heads / cache.num_kv_heads;
  a.page_table_stride = cache.page_table_stride;
  a.key_params_step = keys.group == 32 ? 4 * cache.head_dim : 0;
  a.key_params_bytes = 4 * cache.head_dim * 64 / keys.group;
  a.scale_log2 = p.softmax_scale * kLog2e;
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const WnStatus status = cache.head_dim == 64 ? dispatch<64>(keys.bits, a, splits, cuda_stream) : dispatch<128>(keys.bits, a, splits, cuda_stream);
  if (status.code) return status;
  return launch_lse_merge({a.part_out, a.part_lse, p.out, p.lse, splits, rows, cache.head_dim}, cuda_stream);
}
