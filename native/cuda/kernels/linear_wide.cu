#include "element.cuh"
#include "hopper.cuh"
#include "linear.h"
#include "tensor_map.h"
#include "wgmma.cuh"

namespace winnow {
namespace {

/// A block makes 128 rows for kTokens tokens: two warp groups of 64 rows multiply what one thread fetches, kStages steps of 64
/// columns in flight. Two blocks share a multiprocessor.
template <int kTokensT, int kStagesT>
struct WideConfig {
  static constexpr int kTokens = kTokensT, kStages = kStagesT, kBlocks = 2;
  static constexpr int kRows = 128, kStep = 64, kConsumers = 256, kThreads = kConsumers + 32;
  static constexpr int kWeightBytes = kRows * kStep * 2, kStageBytes = kWeightBytes + kTokens * kStep * 2;
  /// Floats from one token's sums to the next: lanes of a warp then write to different banks.
  static constexpr int kSumStride = kRows + 4;
  static constexpr int kSharedBytes = kStages * kStageBytes + 2 * kStages * 8 + 1024;
  static_assert(kTokens * kSumStride * 4 <= kStages * kStageBytes, "sums lie where the ring was");
  static_assert(kBlocks * (kSharedBytes + 1024) <= 233472, "shared memory of a multiprocessor");
};

struct WideArgs {
  WnLinearParams p;
  int32_t first_token, split;
};

template <typename C>
struct WideShared {
  char* ring;
  uint64_t *full, *empty;
  WN_DEVICE explicit WideShared(char* raw) {
    ring = raw + ((1024 - (shared_address(raw) & 1023)) & 1023);
    full = reinterpret_cast<uint64_t*>(ring + C::kStages * C::kStageBytes);
    empty = full + C::kStages;
  }
  WN_DEVICE char* weight(int stage) const { return ring + stage * C::kStageBytes; }
  WN_DEVICE char* x(int stage) const { return weight(stage) + C::kWeightBytes; }
  WN_DEVICE float* sums() const { return reinterpret_cast<float*>(ring); }
};

/// Steps of 64 columns of one of `split` blocks that share a tile of rows. Whole pairs, since weights come to the L2 by 256 bytes.
struct WideSteps {
  int first, count;
  WN_DEVICE WideSteps(int cols, int rank, int split) {
    const int pairs = ceil_div(cols, 128), end = min(2 * (pairs * (rank + 1) / split), ceil_div(cols, 64));
    first = 2 * (pairs * rank / split);
    count = end - first;
  }
};

/// One thread's. Weights never change, so the first of them are asked for while the kernel ahead still writes the tokens.
template <typename C>
WN_DEVICE void fetch_first_weights(const WideShared<C>& sm, WideSteps steps, int first_row, const CUtensorMap* map) {
  const uint64_t once = evict_first_policy();
#pragma unroll 1
  for (int i = 0; i < min(steps.count, C::kStages); i++) {
    barrier_expect(sm.full + i, C::kStageBytes);
    tma_load_4d_hinted(sm.weight(i), map, sm.full + i, (steps.first + i) * C::kStep, first_row, 0, 0, once);
  }
}
/// The tokens that belong to them, then everything else.
template <typename C>
WN_DEVICE void fetch_rest(const WideArgs& a, const WideShared<C>& sm, WideSteps steps, int first_row, const CUtensorMap* weight_map,
                          const CUtensorMap* x_map) {
  const uint64_t once = evict_first_policy();
  const int ahead = min(steps.count, C::kStages);
  wait_for_predecessor();
#pragma unroll 1
  for (int i = 0; i < ahead; i++) tma_load_4d(sm.x(i), x_map, sm.full + i, (steps.first + i) * C::kStep, a.first_token, 0, 0);
  int stage = 0, parity = 0;
#pragma unroll 1
  for (int i = ahead; i < steps.count; i++) {
    barrier_wait(sm.empty + stage, parity);
    barrier_expect(sm.full + stage, C::kStageBytes);
    tma_load_4d_hinted(sm.weight(stage), weight_map, sm.full + stage, (steps.first + i) * C::kStep, first_row, 0, 0, once);
    tma_load_4d(sm.x(stage), x_map, sm.full + stage, (steps.first + i) * C::kStep, a.first_token, 0, 0);
    if (++stage == C::kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
  let_successor_start();  // earlier, its blocks would crowd the multiprocessors that are free first
}

/// Sums of 64 rows by the tokens, in the order of the columns.
template <typename C>
WN_DEVICE void multiply_wide(const WideShared<C>& sm, int count, int group, float (&sums)[C::kTokens / 2]) {
  int stage = 0, parity = 0;
#pragma unroll 1
  for (int i = 0; i < count; i++) {
    barrier_wait(sm.full + stage, parity);
    const uint32_t weight = shared_address(sm.weight(stage)) + group * 64 * 128, x = shared_address(sm.x(stage));
    pin_registers(sums);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::kStep / 16; k++)
      wgmma_shared_shared<0, 0>(sums, operand_descriptor(weight + 32 * k, 16), operand_descriptor(x + 32 * k, 16), 1);
    wgmma_commit();
    pin_registers(sums);
    wgmma_wait<0>();
    pin_registers(sums);
    barrier_arrive(sm.empty + stage);
    if (++stage == C::kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
}

struct Quad {
  float v[4];
};
WN_DEVICE Quad load_quad(const float* from) {
  const float4 y = *reinterpret_cast<const float4*>(from);
  return {{y.x, y.y, y.z, y.w}};
}

/// Four rows of one token: parts of the sum in the order of their columns.
template <int kSplit>
WN_DEVICE Quad joined_quad(const float* place) {
  Quad part[kSplit];
#pragma unroll
  for (int i = 0; i < kSplit; i++) {
    if constexpr (kSplit == 1) {
      part[i] = load_quad(place);
    } else {
      const float4 y = cluster_load(place, i);
      part[i] = {{y.x, y.y, y.z, y.w}};
    }
  }
#pragma unroll
  for (int i = 1; i < kSplit; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) part[0].v[j] += part[i].v[j];
  return part[0];
}

/// `count` values from element `at` on.
WN_DEVICE void store_quad(const WnLinearParams& p, int64_t at, int count, const Quad& y) {
  const bool is_whole = count >= 4 && at % 4 == 0;
  if (is_whole && p.out_type == WN_F32 && reinterpret_cast<uintptr_t>(p.out) % 16 == 0)
    reinterpret_cast<float4*>(p.out)[at / 4] = {y.v[0], y.v[1], y.v[2], y.v[3]};
  else if (is_whole && p.out_type == WN_BF16 && reinterpret_cast<uintptr_t>(p.out) % 8 == 0)
    static_cast<uint2*>(p.out)[at / 4] = {pack_bf16(y.v[0], y.v[1]), pack_bf16(y.v[2], y.v[3])};
  else
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (j < count) store_element(p.out, at + j, p.out_type, y.v[j]);
}

/// Tokens rank, rank + kSplit, … of the tile, from the sums of all blocks that share it.
template <typename C, int kSplit>
WN_DEVICE void join_wide(const WideArgs& a, const WideShared<C>& sm, int first_row, int rank) {
  const WnLinearParams& p = a.p;
  const int tokens = static_cast<int>(min(p.num_tokens - a.first_token, int64_t{C::kTokens})), own = (tokens - rank + kSplit - 1) / kSplit;
  const int quads = p.gate ? C::kRows / 8 : C::kRows / 4;
  for (int i = threadIdx.x; i < own * quads; i += C::kThreads) {
    const int token = rank + kSplit * (i / quads), quad = i % quads;
    const float* sums = sm.sums() + token * C::kSumStride;
    const int64_t at = a.first_token + token;
    if (p.gate) {
      // Woven: of 64 rows the first 32 are of gate, the others of up.
      const int inside = quad / 8 * 64 + quad % 8 * 4, row = first_row + inside;
      if (row >= p.rows) continue;
      const Quad gate = joined_quad<kSplit>(sums + inside), up = joined_quad<kSplit>(sums + inside + 32);
      Quad y;
#pragma unroll
      for (int j = 0; j < 4; j++) y.v[j] = gated(gate.v[j], up.v[j], p.gate == WN_GATE_GELU_TANH);
      store_quad(p, at * (p.rows / 2) + first_row / 2 + quad * 4, 4, y);
    } else {
      const int row = first_row + 4 * quad, count = p.rows - row;
      if (count <= 0) continue;
      Quad bias{}, before{};  // asked for first, so that they come beside the sums
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (p.bias && j < count) bias.v[j] = p.bias[row + j];
        if (p.accumulate && j < count) before.v[j] = static_cast<const float*>(p.out)[at * p.rows + row + j];
      }
      Quad y = joined_quad<kSplit>(sums + 4 * quad);
#pragma unroll
      for (int j = 0; j < 4; j++) y.v[j] = y.v[j] + bias.v[j] + before.v[j];
      store_quad(p, at * p.rows + row, count, y);
    }
  }
}

template <typename C>
__global__ void __launch_bounds__(C::kThreads, C::kBlocks)
    linear_wide_kernel(const __grid_constant__ CUtensorMap weight_map, const __grid_constant__ CUtensorMap x_map,
                       const __grid_constant__ WideArgs a) {
  extern __shared__ char raw[];
  const WideShared<C> sm(raw);
  const int rank = blockIdx.x % a.split, first_row = blockIdx.x / a.split * C::kRows;
  const WideSteps steps(a.p.cols, rank, a.split);
  if (threadIdx.x == C::kConsumers) {
    prefetch_tensor_map(&x_map);
    for (int i = 0; i < C::kStages; i++) {
      barrier_init(sm.full + i, 1);
      barrier_init(sm.empty + i, C::kConsumers);
    }
    barrier_init_fence();
    fetch_first_weights<C>(sm, steps, first_row, &weight_map);
  }
  __syncwarp();
  __syncthreads();
  float sums[C::kTokens / 2] = {};
  if (threadIdx.x < C::kConsumers)
    multiply_wide<C>(sm, steps.count, threadIdx.x / 128, sums);
  else if (threadIdx.x == C::kConsumers)
    fetch_rest<C>(a, sm, steps, first_row, &weight_map, &x_map);
  __syncwarp();
  __syncthreads();  // nobody reads the ring any more
  if (threadIdx.x < C::kConsumers) {
    float* place = sm.sums() + threadIdx.x / 128 * 64;
#pragma unroll
    for (int i = 0; i < C::kTokens / 2; i++)
      place[accumulator_column(threadIdx.x % 128, i) * C::kSumStride + accumulator_row(threadIdx.x % 128, i)] = sums[i];
  }
  wait_for_predecessor();
  if (a.split == 1) {
    __syncthreads();
    return join_wide<C, 1>(a, sm, first_row, rank);
  }
  cluster_sync();
  if (a.split == 2) join_wide<C, 2>(a, sm, first_row, rank);
  if (a.split == 4) join_wide<C, 4>(a, sm, first_row, rank);
  if (a.split == 8) join_wide<C, 8>(a, sm, first_row, rank);
  cluster_sync();  // others may still read the sums of this block
}

/// Blocks that share the columns of a tile of rows: the fewest that give most multiprocessors one. Of the shape alone, so that a
/// token's bits do not depend on how many are in the call.
int split_of(const WnLinearParams& p) {
  const int tiles = ceil_div(p.rows, 128), wanted = device_attribute(cudaDevAttrMultiProcessorCount) * 5 / 6;
  int split = 1;
  while (split < 8 && tiles * split < wanted) split *= 2;
  return split;
}

template <typename C>
WnStatus launch(const WnLinearParams& p, int64_t first_token, cudaStream_t stream) {
  CUtensorMap weight_map, x_map;
  WnStatus status = make_matrix_map({p.weight, p.rows, p.cols, C::kRows}, &weight_map);
  if (status.code == WN_OK) status = make_matrix_map({p.x, p.num_tokens, p.cols, C::kTokens}, &x_map);
  if (status.code) return status;
  const auto kernel = linear_wide_kernel<C>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes);
  if (error != cudaSuccess) return cuda_status(error, "linear: shared memory");
  const int split = p.variant ? p.variant : split_of(p);
  const WideArgs args{p, static_cast<int32_t>(first_token), split};
  const auto blocks = static_cast<unsigned>(ceil_div(p.rows, C::kRows) * split);
  error = launch_clusters(kernel, dim3(blocks), dim3(C::kThreads), C::kSharedBytes, static_cast<unsigned>(split), stream, weight_map,
                          x_map, args);
  return error == cudaSuccess ? launch_status("linear: wide") : cuda_status(error, "linear: wide");
}

}  // namespace

WnStatus linear_wide(const WnLinearParams& p, void* stream) {
  const int major = device_attribute(cudaDevAttrComputeCapabilityMajor);
  if (major == 0) return make_status(WN_NO_DRIVER, "linear: no device");
  if (major != 9) return make_status(WN_UNSUPPORTED, "linear: the wide path needs compute capability 9.0");
  constexpr int kMost = 64;
  WnStatus status = ok();
  for (int64_t first = 0; first < p.num_tokens && status.code == WN_OK; first += kMost) {
    const int64_t tokens = p.num_tokens - first;
    const auto s = static_cast<cudaStream_t>(stream);
    status = tokens <= 16   ? launch<WideConfig<16, 6>>(p, first, s)
             : tokens <= 32 ? launch<WideConfig<32, 5>>(p, first, s)
                            : launch<WideConfig<64, 4>>(p, first, s);
  }
  return status;
}

}  // namespace winnow
