#include "element.cuh"
#include "linear.h"
#include "mma.cuh"
#include "row_norm.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8, kRows = 16, kUnit = 64, kTokens = 8;

struct StepArgs {
  WnLinearParams p;
  int64_t first_token;
};

/// A block makes kTiles times 16 rows (gated: 16 of gate and their 16 of up) for up to 8 * kGroups tokens. Its warps share the
/// columns: warp w takes units w, w + 8, ... of 64 columns, that is whole lines of a row, so that a load of a warp asks for
/// 16 lines. A lane's 16-byte piece of a row is columns 32 c + 8 t .. + 7 of its unit; weight and token agree on it, so their
/// order inside the product does not matter. The partial sums of the warps are added in the order of the warps. None of this
/// depends on kGroups, kTiles or kUnroll, so a token's bits do not either.
/// kNorms: every block norms the one row itself, which costs less than to wait for a kernel that does; block 0 also leaves it
/// where others find it.
template <int kGroups, int kTiles, int kUnroll, bool kIsGated, bool kNorms = false>
__global__ void __launch_bounds__(32 * kWarps, kGroups == 1 ? 3 : kGroups < 8 ? 2 : 1) linear_step_kernel(const __grid_constant__ StepArgs args) {
  const WnLinearParams& p = args.p;
  constexpr int kTogether = kGroups < 2 ? kGroups : 2;  // groups whose sums are in shared memory at a time
  __shared__ float sums[kWarps][kTiles][kTogether][kRows][kTokens];
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  // Woven: blocks 2 j and 2 j + 1 make rows 64 j + 0 .. 31 of gate with 64 j + 32 .. 63 of up.
  const int first_row = kIsGated ? blockIdx.x / 2 * 64 + blockIdx.x % 2 * kRows : blockIdx.x * kTiles * kRows;
  constexpr int kTileStep = kIsGated ? 32 : kRows;
  const int tokens = static_cast<int>(min(p.num_tokens - args.first_token, int64_t{kGroups * kTokens}));
  // Distances inside a block's rows and tokens fit 32 bits, which spares the registers of an address each.
  const auto* weight = static_cast<const __nv_bfloat16*>(p.weight) + static_cast<int64_t>(first_row) * p.cols;
  const auto* x = static_cast<const __nv_bfloat16*>(p.x) + args.first_token * p.cols;
  const int last_row = p.rows - 1 - first_row, last_column = p.cols - 8;
  float acc[kTiles][kGroups][4] = {};
  const int units = ceil_div(p.cols, kUnit);
  // No load depends on a condition that differs by lane: the compiler would split the loop by it and copy the products into
  // branches where a warp is not whole. Places outside are read at the nearest one inside: rows and tokens beyond the end are
  // dropped below, columns beyond it are multiplied with zeros.
  uint4 a[kUnroll][kTiles][2][2];
  const auto load_weights = [&](int base) {
#pragma unroll
    for (int u = 0; u < kUnroll; u++)
#pragma unroll
      for (int tile = 0; tile < kTiles; tile++)
#pragma unroll
        for (int half = 0; half < 2; half++)
#pragma unroll
          for (int c = 0; c < 2; c++) {
            const int row = min(kTileStep * tile + g + 8 * half, last_row);
            const int column = min((base + u * kWarps) * kUnit + 32 * c + 8 * t, last_column);
            a[u][tile][half][c] = __ldcs(reinterpret_cast<const uint4*>(weight + (row * p.cols + column)));
          }
  };
  constexpr int kQuads = WN_LINEAR_NORM_COLS / 4 / kNormThreads;
  __shared__ uint4 normed[kNorms ? WN_LINEAR_NORM_COLS / 8 : 1];
  __shared__ float norm_sums[kNormWarps];
  RowNorm<kQuads> row_norm;
  if constexpr (kNorms) row_norm.load(row_norm.gain, p.norm_gain, p.cols / 4);
  int base = warp;
  // Weights never change, so the first of them are asked for while the kernel before still runs.
  if (base < units) load_weights(base);
  let_successor_start();
  wait_for_predecessor();
  if constexpr (kNorms) {
    row_norm.load(row_norm.x, p.norm_x, p.cols / 4);
    const float factor = row_norm.factor(p.cols, p.norm_epsilon, norm_sums);
#pragma unroll
    for (int i = 0; i < kQuads; i++) {
      const int at = row_norm.place(i);
      if (at >= p.cols / 4) continue;
      const uint2 words = pack_quad(row_norm.value(i, factor, p.norm_gain_offset));
      reinterpret_cast<uint2*>(normed)[at] = words;
      if (blockIdx.x == 0) static_cast<uint2*>(const_cast<void*>(p.x))[at] = words;
    }
    __syncthreads();
  }
  for (; base < units;) {
#pragma unroll
    for (int u = 0; u < kUnroll; u++)
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int column = (base + u * kWarps) * kUnit + 32 * c + 8 * t;
        const uint32_t mask = column < p.cols ? ~0u : 0u;
#pragma unroll
        for (int group = 0; group < kGroups; group++) {
          const int token = min(group * kTokens + g, tokens - 1);
          uint4 b;
          if constexpr (kNorms)
            b = normed[min(column, last_column) / 8];
          else
            b = __ldg(reinterpret_cast<const uint4*>(x + (token * p.cols + min(column, last_column))));
          b = {b.x & mask, b.y & mask, b.z & mask, b.w & mask};
#pragma unroll
          for (int tile = 0; tile < kTiles; tile++) {
            const uint4 low = a[u][tile][0][c], high = a[u][tile][1][c];
            mma_16x8x16(acc[tile][group], low.x, high.x, low.y, high.y, b.x, b.y);
            mma_16x8x16(acc[tile][group], low.z, high.z, low.w, high.w, b.z, b.w);
          }
        }
      }
    base += kWarps * kUnroll;
    if (base < units) load_weights(base);
  }
#pragma unroll
  for (int first_group = 0; first_group < kGroups; first_group += kTogether) {
    if (first_group > 0) __syncthreads();
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++)
#pragma unroll
      for (int group = 0; group < kTogether; group++)
#pragma unroll
        for (int i = 0; i < 4; i++) sums[warp][tile][group][g + 8 * (i / 2)][2 * t + i % 2] = acc[tile][first_group + group][i];
    __syncthreads();
    for (int i = threadIdx.x; i < kTogether * kTokens * kRows; i += 32 * kWarps) {
      const int r = i % kRows, group = i / kRows / kTokens, of_group = i / kRows % kTokens, token = first_group * kTokens + i / kRows;
      if (token >= tokens) continue;
      float y[kTiles];
#pragma unroll
      for (int tile = 0; tile < kTiles; tile++) {
        y[tile] = 0;
#pragma unroll
        for (int w = 0; w < kWarps; w++) y[tile] += sums[w][tile][group][r][of_group];
      }
      const int64_t at = args.first_token + token;
      if constexpr (kIsGated) {
        const int row = first_row + r;
        if (row >= p.rows) continue;
        store_element(p.out, at * (p.rows / 2) + row / 64 * 32 + row % 64, p.out_type, gated(y[0], y[kTiles - 1], p.gate == WN_GATE_GELU_TANH));
      } else {
#pragma unroll
        for (int tile = 0; tile < kTiles; tile++) {
          const int row = first_row + kRows * tile + r;
          if (row >= p.rows) continue;
          float value = y[tile] + (p.bias ? p.bias[row] : 0.0f);
          if (p.accumulate) value += static_cast<const float*>(p.out)[at * p.rows + row];
          store_element(p.out, at * p.rows + row, p.out_type, value);
        }
      }
    }
  }
}

}  // namespace

WnStatus linear_step(const WnLinearParams& p, void* stream) {
  constexpr int kMost = 8 * kTokens;
  for (int64_t first = 0; first < p.num_tokens; first += kMost) {
    const int64_t tokens = p.num_tokens - first;
    // Beyond two groups a block makes 32 rows, so that tokens are not read more often than weights.
    const auto kernel = p.norm_x && p.gate ? linear_step_kernel<1, 2, 1, true, true>
                        : p.norm_x         ? linear_step_kernel<1, 1, 2, false, true>
                        : p.gate ? (tokens <= kTokens       ? linear_step_kernel<1, 2, 1, true>
                                  : tokens <= 2 * kTokens ? linear_step_kernel<2, 2, 1, true>
                                  : tokens <= 4 * kTokens ? linear_step_kernel<4, 2, 1, true>
                                                          : linear_step_kernel<8, 2, 2, true>)
                               : (tokens <= kTokens       ? linear_step_kernel<1, 1, 2, false>
                                  : tokens <= 2 * kTokens ? linear_step_kernel<2, 1, 2, false>
                                  : tokens <= 4 * kTokens ? linear_step_kernel<4, 2, 1, false>
                                                          : linear_step_kernel<8, 2, 2, false>);
    const int blocks = p.gate || tokens > 2 * kTokens ? ceil_div(p.rows, 2 * kRows) : ceil_div(p.rows, kRows);
    const StepArgs args{p, first};
    const cudaError_t error =
        launch_early(kernel, dim3(static_cast<unsigned>(blocks)), dim3(32 * kWarps), 0, static_cast<cudaStream_t>(stream), args);
    if (error != cudaSuccess) return cuda_status(error, "linear: step");
  }
  return launch_status("linear: step");
}

}  // namespace winnow
