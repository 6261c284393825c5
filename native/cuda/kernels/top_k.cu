#include "winnow_cuda/top_k.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 1024, kWarps = kThreads / 32, kBins = 2048, kPerThread = 4;

struct TopKArgs {
  WnTopKParams p;
};

/// Sort key of position i: protected positions rank above every float.
WN_DEVICE uint32_t position_key(const WnTopKParams& p, const float* row, int i, int length) {
  const int segment = p.segment_len > 0 ? p.segment_len : length;
  const int place = p.segment_len > 0 ? i % p.segment_len : i;
  if (place < p.sink_tokens || place >= segment - p.recent_tokens) return 0xffffffffu;
  return radix_key(__float_as_uint(row[i]));
}

/// Exclusive sum over the block, and the total. Uses `warps` (kWarps + 1 words); begins and ends with a barrier.
WN_DEVICE uint32_t block_exclusive(uint32_t value, uint32_t* warps, uint32_t& total) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  uint32_t inclusive = value;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const uint32_t other = __shfl_up_sync(~0u, inclusive, step);
    if (lane >= step) inclusive += other;
  }
  __syncthreads();
  if (lane == 31) warps[warp] = inclusive;
  __syncthreads();
  if (warp == 0) {
    const uint32_t own = warps[lane];
    uint32_t sum = own;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const uint32_t other = __shfl_up_sync(~0u, sum, step);
      if (lane >= step) sum += other;
    }
    warps[lane] = sum - own;
    if (lane == 31) warps[kWarps] = sum;
  }
  __syncthreads();
  total = warps[kWarps];
  return warps[warp] + inclusive - value;
}

/// Three rounds of 11, 11 and 10 bits find the key of the k-th best, one more pass writes the survivors in order.
__global__ void __launch_bounds__(kThreads) top_k_kernel(const __grid_constant__ TopKArgs args) {
  const WnTopKParams& p = args.p;
  __shared__ uint32_t histogram[kBins];
  __shared__ uint32_t warps[kWarps + 1];
  __shared__ uint32_t found[2];  // digit, how many of it are still wanted
  const int row_index = blockIdx.x, thread = threadIdx.x;
  const float* row = p.scores + row_index * p.row_stride;
  const int length = p.lens ? min(max(p.lens[row_index], 0), p.row_len) : p.row_len;
  const int wanted = min(p.k, length);
  if (thread == 0) p.counts[row_index] = wanted;
  if (wanted == 0) return;

  uint32_t prefix = 0, prefix_mask = 0, remaining = wanted;
  for (int round = 0; round < 3; round++) {
    const int shift = round == 0 ? 21 : round == 1 ? 10 : 0, bits = round == 2 ? 10 : 11;
    const uint32_t digit_mask = (1u << bits) - 1;
    for (int i = thread; i < kBins; i += kThreads) histogram[i] = 0;
    __syncthreads();
    for (int base = 0; base < length; base += kThreads) {
      const int i = base + thread;
      const uint32_t key = i < length ? position_key(p, row, i, length) : 0;
      const bool counts = i < length && (key & prefix_mask) == prefix;
      // Scores crowd into few bins: one add per warp and bin.
      const uint32_t digit = counts ? (key >> shift) & digit_mask : kBins;
      const uint32_t same = __match_any_sync(~0u, digit);
      if (counts && (same & ((1u << (thread & 31)) - 1)) == 0) atomicAdd(histogram + digit, __popc(same));
    }
    __syncthreads();
    // Thread t looks at bins from the top: 2047 - 2 t and the one below.
    const uint32_t upper = histogram[kBins - 1 - 2 * thread], lower = histogram[kBins - 2 - 2 * thread];
    uint32_t total;
    const uint32_t before = block_exclusive(upper + lower, warps, total);
    if (before < remaining && before + upper + lower >= remaining) {
      const bool in_upper = before + upper >= remaining;
      found[0] = kBins - (in_upper ? 1 : 2) - 2 * thread;
      found[1] = remaining - before - (in_upper ? 0 : upper);
    }
    __syncthreads();
    prefix |= found[0] << shift;
    prefix_mask |= digit_mask << shift;
    remaining = found[1];
    __syncthreads();
  }

  int32_t* target = p.indices + static_cast<int64_t>(row_index) * p.indices_stride;
  uint32_t greater_before = 0, equal_before = 0;
  for (int base = 0; base < length; base += kThreads * kPerThread) {
    uint32_t keys[kPerThread], packed = 0;
    const int first = base + thread * kPerThread;
#pragma unroll
    for (int i = 0; i < kPerThread; i++) {
      keys[i] = first + i < length ? position_key(p, row, first + i, length) : 0;
      if (first + i < length) packed += keys[i] > prefix ? 1u : keys[i] == prefix ? 1u << 16 : 0u;
    }
    uint32_t total;
    const uint32_t before = block_exclusive(packed, warps, total);
    uint32_t greater = greater_before + (before & 0xffff), equal = equal_before + (before >> 16);
#pragma unroll
    for (int i = 0; i < kPerThread; i++) {
      if (first + i >= length || keys[i] < prefix) continue;
      const bool is_tie = keys[i] == prefix;
      if (!is_tie || equal < remaining) target[greater + min(equal, remaining)] = first + i;
      if (is_tie)
        equal++;
      else
        greater++;
    }
    greater_before += total & 0xffff;
    equal_before += total >> 16;
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_top_k(const WnTopKParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "top_k: params is null");
  const WnTopKParams& p = *params;
  WN_REQUIRE(p.scores && p.indices && p.counts, "top_k: a required pointer is null");
  WN_REQUIRE(p.num_rows > 0 && p.row_len > 0 && p.row_stride >= p.row_len, "top_k: row counts or stride");
  WN_REQUIRE(p.k >= 0 && p.k <= p.indices_stride, "top_k: k not in 0 .. indices_stride");
  WN_REQUIRE(p.segment_len >= 0 && p.sink_tokens >= 0 && p.recent_tokens >= 0, "top_k: negative range");
  WN_REQUIRE(p.segment_len == 0 || !p.lens, "top_k: lens only with segment_len 0");
  top_k_kernel<<<p.num_rows, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(TopKArgs{p});
  return launch_status("top_k");
}
