#include "async_copy.cuh"
#include "element.cuh"
#include "linear.h"
#include "mma.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256, kBlock = 128, kDepth = 32, kStages = 4;
constexpr int kStageBytes = 2 * kBlock * kDepth * 2, kSharedBytes = kStages * kStageBytes;

struct TileArgs {
  WnLinearParams p;
};

/// Byte of 16-byte piece `piece` (0 .. 3) of `row` in a tile of 128 rows of 32 columns. Two rows share a line of 128 bytes;
/// the exclusive or spreads the eight rows that ldmatrix reads together over all banks.
WN_DEVICE uint32_t piece_byte(int row, int piece) { return row * 64 + ((piece ^ ((row / 2) % 4)) * 16); }

/// 128 tokens by 128 rows a block, 64 by 32 a warp; four stages of 32 columns in flight.
__global__ void __launch_bounds__(kThreads) linear_tile_kernel(const __grid_constant__ TileArgs args) {
  const WnLinearParams& p = args.p;
  extern __shared__ __align__(128) char shared[];
  const uint32_t base = shared_address(shared);
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const int64_t first_token = static_cast<int64_t>(blockIdx.y) * kBlock;
  const int first_row = blockIdx.x * kBlock, steps = ceil_div(p.cols, kDepth);
  const auto* x = static_cast<const __nv_bfloat16*>(p.x);
  const auto* weight = static_cast<const __nv_bfloat16*>(p.weight);

  auto fill = [&](int step) {
    const uint32_t stage = base + step % kStages * kStageBytes;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int row = threadIdx.x / 4 + 64 * i, piece = threadIdx.x % 4, column = step * kDepth + piece * 8;
      const bool has_column = step < steps && column < p.cols;
      const int64_t token = first_token + row;
      const bool has_token = has_column && token < p.num_tokens, has_row = has_column && first_row + row < p.rows;
      async_copy_16(stage + piece_byte(row, piece), has_token ? x + token * p.cols + column : x, has_token);
      async_copy_16(stage + kStageBytes / 2 + piece_byte(row, piece),
                    has_row ? weight + static_cast<int64_t>(first_row + row) * p.cols + column : weight, has_row);
    }
    async_copy_commit();
  };
  for (int step = 0; step < kStages - 1; step++) fill(step);

  const int warp_token = warp / 4 * 64, warp_row = warp % 4 * 32;
  float acc[4][4][4] = {};
  for (int step = 0; step < steps; step++) {
    async_copy_wait<kStages - 2>();
    __syncthreads();
    fill(step + kStages - 1);
    const uint32_t stage = base + step % kStages * kStageBytes;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      uint32_t a[4][4], b[2][4];
#pragma unroll
      for (int m = 0; m < 4; m++)
        load_matrices(a[m], stage + piece_byte(warp_token + 16 * m + lane % 16, 2 * k + lane / 16));
#pragma unroll
      for (int n = 0; n < 2; n++)
        load_matrices(b[n], stage + kStageBytes / 2 +
                                 piece_byte(warp_row + 16 * n + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
#pragma unroll
      for (int m = 0; m < 4; m++)
#pragma unroll
        for (int n = 0; n < 4; n++)
          mma_16x8x16(acc[m][n], a[m][0], a[m][1], a[m][2], a[m][3], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
    }
  }
#pragma unroll
  for (int m = 0; m < 4; m++)
#pragma unroll
    for (int n = 0; n < 4; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int64_t token = first_token + warp_token + 16 * m + lane / 4 + 8 * (i / 2);
        const int row = first_row + warp_row + 8 * n + 2 * (lane % 4) + i % 2;
        if (token >= p.num_tokens || row >= p.rows) continue;
        float value = acc[m][n][i] + (p.bias ? p.bias[row] : 0.0f);
        if (p.accumulate) value += static_cast<const float*>(p.out)[token * p.rows + row];
        store_element(p.out, token * p.rows + row, p.out_type, value);
      }
}

}  // namespace

WnStatus linear_tile(const WnLinearParams& p, void* stream) {
  const int64_t token_blocks = ceil_div(p.num_tokens, int64_t{kBlock});
  if (token_blocks > 65535) return make_status(WN_UNSUPPORTED, "linear: more than 8388480 tokens in one call");
  const cudaError_t error =
      cudaFuncSetAttribute(linear_tile_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  if (error != cudaSuccess) return cuda_status(error, "linear: shared memory");
  const dim3 grid(ceil_div(p.rows, kBlock), static_cast<unsigned>(token_blocks));
  linear_tile_kernel<<<grid, kThreads, kSharedBytes, static_cast<cudaStream_t>(stream)>>>(TileArgs{p});
  return launch_status("linear: tile");
}

}  // namespace winnow
