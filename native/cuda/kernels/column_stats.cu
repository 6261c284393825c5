#include "winnow_cuda/column_stats.h"

#include "async_copy.cuh"
#include "mma.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 128, kTile = 64;

/// One block: 64 keys of one query head against all queries that see them, in blocks of 64 by slot. Keys are the rows of the
/// product, so that a column's statistics gather in the registers of four lanes.
template <int kDim>
__global__ void __launch_bounds__(kThreads) column_stats_kernel(const __grid_constant__ WnColumnStatsParams p) {
  constexpr int kPieces = kDim / 8;
  extern __shared__ __align__(128) char shared[];
  __shared__ float query_lse[2][kTile];
  __shared__ int32_t query_least[2][kTile];
  const uint32_t k_tile = shared_address(shared), q_tile = k_tile + kTile * kDim * 2;
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;
  const int head = blockIdx.y, kv_head = head / (p.num_query_heads / p.num_kv_heads), pieces = p.head_dim / 8;
  const int n = p.kv_lens[kv_head], first_new = n - p.query_len, first_slot = blockIdx.x * kTile;
  if (first_slot >= n) return;
  const int32_t* table = p.page_table + static_cast<int64_t>(kv_head) * p.page_table_stride;
  const int page = table[first_slot / WN_PAGE_SIZE];
  if (page < 0) return;
  auto arena = [&](int slot) { return table[slot / WN_PAGE_SIZE] * WN_PAGE_SIZE + slot % WN_PAGE_SIZE; };

  for (int i = thread; i < kTile * kPieces; i += kThreads) {
    const int row = i / kPieces, piece = i % kPieces;
    const bool valid = piece < pieces && first_slot + row < n;
    const int64_t source = valid ? (static_cast<int64_t>(page) * 128 + row) * p.head_dim + 8 * piece : 0;
    async_copy_16(k_tile + piece_byte<kPieces>(row, piece), static_cast<const __nv_bfloat16*>(p.pages) + source, valid);
  }
  // Queries from `first` on see a key of this block; blocks of queries are aligned to slot 0.
  const int first = max(max(first_slot, first_new), p.first_row);
  auto fetch = [&](int base, int stage) {
    if (base < n) {
      for (int i = thread; i < kTile * kPieces; i += kThreads) {
        const int row = i / kPieces, piece = i % kPieces, own = base + row;
        const bool valid = piece < pieces && own >= first && own < n;
        const int64_t source = valid ? (static_cast<int64_t>(own - first_new) * p.num_query_heads + head) * p.head_dim + 8 * piece : 0;
        async_copy_16(q_tile + stage * kTile * kDim * 2 + piece_byte<kPieces>(row, piece),
                      static_cast<const __nv_bfloat16*>(p.q) + source, valid);
      }
      if (thread < kTile) {
        const int own = base + thread;
        const bool valid = own >= first && own < n;
        const float lse = valid ? p.lse[static_cast<int64_t>(own - first_new) * p.num_query_heads + head] : -INFINITY;
        query_lse[stage][thread] = lse == -INFINITY ? INFINITY : lse * kLog2e;
        if (p.sliding_window > 0) query_least[stage][thread] = valid ? p.positions[arena(own)] - p.sliding_window : 0;
      }
    }
    async_copy_commit();
  };

  const int row[2] = {16 * warp + g, 16 * warp + g + 8};
  float bias[2] = {0, 0};
  int position[2] = {0, 0};
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (first_slot + row[i] >= n) continue;
    const int at = page * WN_PAGE_SIZE + row[i];
    if (p.log_bias) bias[i] = p.log_bias[at] * kLog2e;
    if (p.sliding_window > 0) position[i] = p.positions[at];
  }
  float* state = p.state + head * p.width + first_slot;
  const int64_t plane = static_cast<int64_t>(p.num_query_heads) * p.width;
  float total[2] = {}, squares[2] = {};
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (first_slot + row[i] >= n) continue;
    total[i] = state[row[i]];
    if (p.reduce == WN_COLUMN_VARIANCE) squares[i] = state[2 * plane + row[i]];
  }

  const float scale = p.softmax_scale * kLog2e;
  int stage = 0;
  const int begin = first / kTile * kTile;
  fetch(begin, 0);
#pragma unroll 1
  for (int base = begin; base < n; base += kTile, stage ^= 1) {
    fetch(base + kTile, stage ^ 1);
    async_copy_wait<1>();
    __syncthreads();
    float s[8][4] = {};
#pragma unroll
    for (int step = 0; step < kDim / 16; step++) {
      if (16 * step >= p.head_dim) break;
      uint32_t a[4];
      load_matrices(a, k_tile + piece_byte<kPieces>(16 * warp + (lane & 15), 2 * step + lane / 16));
#pragma unroll
      for (int c = 0; c < 8; c += 2) {
        uint32_t b[4];
        load_matrices(b, q_tile + stage * kTile * kDim * 2 +
                             piece_byte<kPieces>(8 * c + (lane & 7) + lane / 16 * 8, 2 * step + (lane / 8 & 1)));
        mma_16x8x16(s[c], a[0], a[1], a[2], a[3], b[0], b[1]);
        mma_16x8x16(s[c + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
      }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float sum = 0, square = 0;
#pragma unroll
      for (int c = 0; c < 8; c++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
          const int query = 8 * c + 2 * t + r;
          float x = s[c][2 * i + r];
          if (p.soft_cap > 0) {
            const float e = exp2_fast(x * scale * (2 / p.soft_cap));
            x = isinf(e) ? p.soft_cap * kLog2e : p.soft_cap * kLog2e * (1 - __fdividef(2.0f, e + 1));
          } else {
            x *= scale;
          }
          x += bias[i] - query_lse[stage][query];
          // Queries that are not there have an infinite lse, so their weight is 0.
          bool seen = first_slot + row[i] <= base + query;
          if (p.sliding_window > 0) seen = seen && position[i] > query_least[stage][query];
          const float weight = seen ? exp2_fast(x) : 0;
          if (p.reduce == WN_COLUMN_MAX) {
            sum = fmaxf(sum, weight);
          } else if (p.reduce == WN_COLUMN_ENTROPY) {
            if (weight > 0) sum -= weight * x * kLn2;
          } else {
            sum += weight;
            square = fmaf(weight, weight, square);
          }
        }
#pragma unroll
      for (int step = 1; step < 4; step *= 2) {
        const float other = __shfl_xor_sync(~0u, sum, step);
        sum = p.reduce == WN_COLUMN_MAX ? fmaxf(sum, other) : sum + other;
        square += __shfl_xor_sync(~0u, square, step);
      }
      total[i] = p.reduce == WN_COLUMN_MAX ? fmaxf(total[i], sum) : total[i] + sum;
      squares[i] += square;
    }
    __syncthreads();
  }
  async_copy_wait<0>();
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (t != 0 || first_slot + row[i] >= n) continue;
    state[row[i]] = total[i];
    if (p.reduce == WN_COLUMN_VARIANCE) state[2 * plane + row[i]] = squares[i];
  }
}

__global__ void __launch_bounds__(256) finish_kernel(const __grid_constant__ WnFinishColumnStatsParams p) {
  const int64_t i = blockIdx.x * 256ll + threadIdx.x, plane = p.num_query_heads * p.width;
  if (i >= plane) return;
  const int64_t slot = i % p.width, from = slot > p.first_row ? slot : p.first_row;
  const float count = p.num_rows > from ? static_cast<float>(p.num_rows - from) : 0, sum = p.state[i] + p.state[plane + i];
  float out = sum;
  if (p.reduce == WN_COLUMN_MEAN) out = count > 0 ? sum / count : 0;
  if (p.reduce == WN_COLUMN_MAX) out = fmaxf(p.state[i], p.state[plane + i]);
  if (p.reduce == WN_COLUMN_VARIANCE) {
    const float squares = p.state[2 * plane + i] + p.state[3 * plane + i];
    out = count > 1 ? fmaxf(0, (squares - sum * (sum / count)) / (count - 1)) : 0;
  }
  p.out[i] = out;
}

template <int kDim>
WnStatus launch(const WnColumnStatsParams& p, cudaStream_t stream) {
  constexpr int kShared = 3 * kTile * kDim * 2;
  const auto kernel = column_stats_kernel<kDim>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  if (error != cudaSuccess) return cuda_status(error, "column_stats: shared memory");
  const dim3 grid(static_cast<unsigned>(ceil_div(p.width, kTile)), p.num_query_heads);
  kernel<<<grid, kThreads, kShared, stream>>>(p);
  return launch_status("column_stats");
}

}  // namespace
}  // namespace winnow

WnStatus wn_column_stats(const WnColumnStatsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "column_stats: params is null");
  const WnColumnStatsParams& p = *params;
  WN_REQUIRE(p.head_dim > 0 && p.head_dim <= 256 && p.head_dim % 16 == 0, "column_stats: head_dim not a multiple of 16 up to 256");
  WN_REQUIRE(p.query_len > 0 && p.num_kv_heads > 0 && p.num_query_heads > 0 && p.num_query_heads % p.num_kv_heads == 0 &&
                 p.num_query_heads <= 65535 && p.width > 0, "column_stats: counts of queries or heads");
  WN_REQUIRE(p.q && p.pages && p.page_table && p.kv_lens && p.lse && p.state, "column_stats: a required pointer is null");
  WN_REQUIRE(aligned(p.q, 16) && aligned(p.pages, 16), "column_stats: misaligned pointer");
  WN_REQUIRE(p.sliding_window >= 0 && (p.sliding_window == 0 || p.positions), "column_stats: sliding_window without positions");
  WN_REQUIRE(p.reduce >= WN_COLUMN_SUM && p.reduce <= WN_COLUMN_ENTROPY, "column_stats: unknown reduce");
  WN_REQUIRE(p.softmax_scale > 0 && p.soft_cap >= 0, "column_stats: softmax_scale or soft_cap");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  if (p.head_dim <= 64) return launch<64>(p, cuda_stream);
  if (p.head_dim <= 128) return launch<128>(p, cuda_stream);
  return launch<256>(p, cuda_stream);
}

WnStatus wn_finish_column_stats(const WnFinishColumnStatsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params && params->state && params->out, "finish_column_stats: a required pointer is null");
  const WnFinishColumnStatsParams& p = *params;
  WN_REQUIRE(p.width > 0 && p.num_query_heads > 0, "finish_column_stats: counts must be positive");
  WN_REQUIRE(p.reduce >= WN_COLUMN_SUM && p.reduce <= WN_COLUMN_ENTROPY, "finish_column_stats: unknown reduce");
  const auto blocks = static_cast<unsigned>(ceil_div(p.num_query_heads * p.width, 256));
  finish_kernel<<<blocks, 256, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("finish_column_stats");
}
