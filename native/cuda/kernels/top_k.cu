#include "winnow_cuda/top_k.h"

#include <algorithm>

#include "block_scan.cuh"
#include "element.cuh"

namespace winnow {
namespace {

// A chunk is what one block looks at: 4096 entries. Budgets begin at chunk borders.
constexpr int kThreads = 256, kWarps = kThreads / 32, kPerThread = 16, kChunk = kThreads * kPerThread, kBins = 2048;
/// Keys of protected entries lie above that of +inf.
constexpr uint32_t kLargestKey = 0xffffffffu, kInfinityKey = 0xff800000u;

struct TopKArgs {
  WnTopKParams p;
  uint32_t* keys;        ///< [num_lists, length]; 0 = no entry
  uint32_t* histograms;  ///< [budgets, 3, kBins]
  uint32_t* chunks;      ///< [budgets, chunks_per_budget, 2]: entries above the threshold, at it
  int32_t* list_begins;  ///< [num_lists] entries taken of the budget's earlier lists
  int chunks_per_budget;
  int64_t per_budget;    ///< entries
};

/// Where a budget stands after some rounds: the leading bits of the key of its last entry, and how many of the entries with
/// those bits are wanted.
struct Found {
  uint32_t prefix, wanted;
};

WN_DEVICE int budget_of(const WnTopKParams& p, int budget) { return p.counts ? p.counts[budget] : p.few_counts[budget]; }

__host__ WN_DEVICE constexpr int round_shift(int round) { return round == 0 ? 21 : round == 1 ? 10 : 0; }
__host__ WN_DEVICE constexpr uint32_t round_mask(int round) { return round == 2 ? 1023u : 2047u; }

/// Every block of a budget repeats this over the counts of the rounds before, so that no launch is needed between. A budget that asks for
/// more than there is ends at the smallest key of an entry, 1 or more, with all of them.
WN_DEVICE Found find(const TopKArgs& args, int budget, int rounds, uint32_t* warps, uint32_t* shared) {
  const int asked = budget_of(args.p, budget);
  Found found{0, asked > 0 ? static_cast<uint32_t>(asked) : 0u};
  for (int round = 0; round < rounds; round++) {
    const uint32_t* histogram = args.histograms + (static_cast<int64_t>(budget) * 3 + round) * kBins;
    // Thread t looks at eight bins from the top.
    uint32_t counts[kBins / kThreads], sum = 0, total;
#pragma unroll
    for (int i = 0; i < kBins / kThreads; i++) {
      counts[i] = histogram[kBins - 1 - static_cast<int>(threadIdx.x) * (kBins / kThreads) - i];
      sum += counts[i];
    }
    uint32_t before = block_scan<kThreads>(sum, warps, &total);
    if (threadIdx.x == 0) shared[0] = 0, shared[1] = found.wanted;
    __syncthreads();
    if (found.wanted > 0 && total > 0) {
      const uint32_t wanted = min(found.wanted, total);
#pragma unroll
      for (int i = 0; i < kBins / kThreads; i++) {
        if (before < wanted && before + counts[i] >= wanted) {
          shared[0] = kBins - 1 - threadIdx.x * (kBins / kThreads) - i;
          shared[1] = wanted - before;
        }
        before += counts[i];
      }
    }
    __syncthreads();
    found.prefix |= shared[0] << round_shift(round);
    found.wanted = total > 0 ? shared[1] : 0;
    __syncthreads();
  }
  return found;
}

/// Sort key of a score; 0 for what is no entry. -inf has key 0x007fffff, and nothing else stands as low but NaN (0).
WN_DEVICE uint32_t entry_key(float score) {
  return score > -INFINITY ? radix_key(__float_as_uint(score)) : 0u;
}

__global__ void __launch_bounds__(kThreads) top_k_keys_kernel(const __grid_constant__ TopKArgs args) {
  const int64_t count = static_cast<int64_t>(args.p.num_lists) * args.p.length, step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < count; i += step)
    args.keys[i] = entry_key(args.p.scores[i]);
  const int64_t bins = static_cast<int64_t>(args.p.num_lists / args.p.lists_per_budget) * 3 * kBins;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < bins; i += step) args.histograms[i] = 0;
}

/// A block per list marks its protected entries: from the front, then from the end what is left.
__global__ void __launch_bounds__(kThreads) top_k_protect_kernel(const __grid_constant__ TopKArgs args) {
  const WnTopKParams& p = args.p;
  __shared__ uint32_t warps[kWarps + 1];
  const int list = blockIdx.x, place = list % p.lists_per_budget;
  uint32_t* keys = args.keys + static_cast<int64_t>(list) * p.length;
  const uint32_t first = min(p.protect_first, p.length), last = min(p.protect_last, p.length);
  for (int part = 0; part < 2; part++) {
    const uint32_t wanted = part == 0 ? first : last;
    uint32_t seen = 0;
    for (int base = 0; base < p.length && seen < wanted; base += kThreads) {
      const int i = part == 0 ? base + static_cast<int>(threadIdx.x) : p.length - 1 - base - static_cast<int>(threadIdx.x);
      const bool counts = i >= 0 && i < p.length && keys[i] > 0 && keys[i] <= kInfinityKey;
      uint32_t total;
      const uint32_t rank = seen + block_scan<kThreads>(counts ? 1 : 0, warps, &total);
      if (counts && rank < wanted) keys[i] = kLargestKey - ((part * first + rank) * p.lists_per_budget + place);
      seen += total;
    }
    __syncthreads();
  }
}

template <int kRound>
__global__ void __launch_bounds__(kThreads) top_k_histogram_kernel(const __grid_constant__ TopKArgs args) {
  __shared__ uint32_t histogram[kBins];
  __shared__ uint32_t warps[kWarps + 1], shared[2];
  const int budget = blockIdx.y;
  for (int i = threadIdx.x; i < kBins; i += kThreads) histogram[i] = 0;
  const uint32_t prefix = find(args, budget, kRound, warps, shared).prefix;
  __syncthreads();
  constexpr int kAbove = kRound == 0 ? 32 : round_shift(kRound - 1);
  const uint32_t* keys = args.keys + budget * args.per_budget;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kChunk;
#pragma unroll 4
  for (int turn = 0; turn < kPerThread; turn++) {
    const int64_t i = begin + turn * kThreads + threadIdx.x;
    const uint32_t key = i < args.per_budget ? keys[i] : 0;
    const bool counts = key > 0 && (kRound == 0 || key >> (kAbove & 31) == prefix >> (kAbove & 31));
    // Scores crowd into few bins: one add per warp and bin.
    const uint32_t digit = counts ? (key >> round_shift(kRound)) & round_mask(kRound) : kBins;
    const uint32_t same = __match_any_sync(~0u, digit);
    if (counts && (same & ((1u << (threadIdx.x & 31)) - 1)) == 0) atomicAdd(histogram + digit, __popc(same));
  }
  __syncthreads();
  uint32_t* target = args.histograms + (static_cast<int64_t>(budget) * 3 + kRound) * kBins;
  for (int i = threadIdx.x; i < kBins; i += kThreads)
    if (histogram[i]) atomicAdd(target + i, histogram[i]);
}

/// How many entries of each chunk lie above the threshold and at it.
__global__ void __launch_bounds__(kThreads) top_k_count_kernel(const __grid_constant__ TopKArgs args) {
  __shared__ uint32_t warps[kWarps + 1], shared[2];
  const int budget = blockIdx.y;
  const uint32_t threshold = find(args, budget, 3, warps, shared).prefix;
  const uint32_t* keys = args.keys + budget * args.per_budget;
  uint32_t packed = 0;
#pragma unroll 4
  for (int turn = 0; turn < kPerThread; turn++) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kChunk + turn * kThreads + threadIdx.x;
    const uint32_t key = i < args.per_budget ? keys[i] : 0;
    if (key > 0) packed += key > threshold ? 1u : key == threshold ? 1u << 16 : 0u;
  }
  uint32_t total;
  block_scan<kThreads>(packed, warps, &total);
  if (threadIdx.x > 0) return;
  uint32_t* chunk = args.chunks + (static_cast<int64_t>(budget) * args.chunks_per_budget + blockIdx.x) * 2;
  chunk[0] = total & 0xffff;
  chunk[1] = total >> 16;
}

/// Sum of the first `count` chunks of a budget.
WN_DEVICE void sum_chunks(const TopKArgs& args, int budget, int count, uint32_t* warps, uint32_t& greater, uint32_t& equal) {
  const uint32_t* chunks = args.chunks + static_cast<int64_t>(budget) * args.chunks_per_budget * 2;
  uint32_t above = 0, at = 0;
  for (int i = threadIdx.x; i < count; i += kThreads) above += chunks[2 * i], at += chunks[2 * i + 1];
  block_scan<kThreads>(above, warps, &greater);
  block_scan<kThreads>(at, warps, &equal);
}

/// Length of a list and the padding behind it, by the whole block.
WN_DEVICE void finish_list(const WnTopKParams& p, int64_t list, int taken) {
  const int len = min(taken, p.indices_stride);
  if (threadIdx.x == 0) p.lens[list] = len;
  for (int i = len + threadIdx.x; i < p.indices_stride; i += kThreads) p.indices[list * p.indices_stride + i] = -1;
}

/// Taken entries of a budget in order. A list with a budget of its own is written here; else 1 + rank (0: not taken) goes where the key
/// was, and the entry that begins a list leaves how many were taken before it.
__global__ void __launch_bounds__(kThreads) top_k_rank_kernel(const __grid_constant__ TopKArgs args) {
  const WnTopKParams& p = args.p;
  __shared__ uint32_t warps[kWarps + 1], shared[2];
  const int budget = blockIdx.y;
  const bool is_alone = p.lists_per_budget == 1;
  const Found found = find(args, budget, 3, warps, shared);
  uint32_t greater, equal;
  if (is_alone && blockIdx.x == 0) {
    sum_chunks(args, budget, args.chunks_per_budget, warps, greater, equal);
    finish_list(p, budget, found.wanted > 0 ? static_cast<int>(greater + found.wanted) : 0);
  }
  sum_chunks(args, budget, blockIdx.x, warps, greater, equal);
  uint32_t* keys = args.keys + budget * args.per_budget;
  int32_t* target = p.indices + static_cast<int64_t>(budget) * p.indices_stride;
  const int first = static_cast<int>(blockIdx.x) * kChunk + static_cast<int>(threadIdx.x) * kPerThread;
  uint32_t own[kPerThread], packed = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    own[i] = int64_t{first} + i < args.per_budget ? keys[first + i] : 0;
    if (own[i] > 0) packed += own[i] > found.prefix ? 1u : own[i] == found.prefix ? 1u << 16 : 0u;
  }
  uint32_t total;
  const uint32_t before = block_scan<kThreads>(packed, warps, &total);
  greater += before & 0xffff;
  equal += before >> 16;
  int list = first / p.length, place = first % p.length;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    if (int64_t{first} + i >= args.per_budget) break;
    const uint32_t rank = greater + min(equal, found.wanted);
    if (!is_alone && place == 0) args.list_begins[budget * p.lists_per_budget + list] = rank;
    const bool is_tie = own[i] > 0 && own[i] == found.prefix, is_greater = own[i] > found.prefix;
    const bool is_taken = found.wanted > 0 && (is_greater || (is_tie && equal < found.wanted));
    if (!is_alone) keys[first + i] = is_taken ? 1 + rank : 0;
    else if (is_taken && rank < static_cast<uint32_t>(p.indices_stride)) target[rank] = first + i;
    equal += is_tie;
    greater += is_greater;
    if (++place == p.length) place = 0, list++;
  }
}

/// Taken entries of lists that share a budget to their places.
__global__ void __launch_bounds__(kThreads) top_k_write_kernel(const __grid_constant__ TopKArgs args) {
  const WnTopKParams& p = args.p;
  __shared__ uint32_t warps[kWarps + 1], shared[2];
  const int list = blockIdx.y, budget = list / p.lists_per_budget, begin = args.list_begins[list];
  if (blockIdx.x == 0) {
    const Found found = find(args, budget, 3, warps, shared);
    uint32_t greater, equal;
    sum_chunks(args, budget, args.chunks_per_budget, warps, greater, equal);
    const bool is_last = list % p.lists_per_budget == p.lists_per_budget - 1;
    const int end = is_last ? static_cast<int>(greater + found.wanted) : args.list_begins[list + 1];
    finish_list(p, list, found.wanted > 0 ? end - begin : 0);
  }
  const uint32_t* keys = args.keys + static_cast<int64_t>(list) * p.length;
  int32_t* target = p.indices + static_cast<int64_t>(list) * p.indices_stride;
#pragma unroll 4
  for (int turn = 0; turn < kPerThread; turn++) {
    const int i = static_cast<int>(blockIdx.x) * kChunk + turn * kThreads + static_cast<int>(threadIdx.x);
    if (i >= p.length || keys[i] == 0) continue;
    const int place = static_cast<int>(keys[i]) - 1 - begin;
    if (place < p.indices_stride) target[place] = i;
  }
}

// What one block keeps in registers.
constexpr int kSmallThreads = 1024, kSmallEntries = kSmallThreads * kPerThread;

/// Exclusive sum over a block of kSmallThreads, and the total; begins and ends with a barrier.
WN_DEVICE uint32_t small_exclusive(uint32_t value, uint32_t* warps, uint32_t& total) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const uint32_t inclusive = warp_scan(value);
  __syncthreads();
  if (lane == 31) warps[warp] = inclusive;
  __syncthreads();
  const uint32_t own = warps[lane], sum = warp_scan(own);
  total = __shfl_sync(~0u, sum, 31);
  return __shfl_sync(~0u, sum - own, warp) + inclusive - value;
}

/// All of a list with a budget of its own in one block and launch: a thread holds kEach neighbouring entries.
template <int kEach>
__global__ void __launch_bounds__(kSmallThreads) top_k_small_kernel(const __grid_constant__ WnTopKParams p) {
  __shared__ uint32_t histogram[kBins];
  __shared__ uint32_t warps[32], shared[2];
  const int list = blockIdx.x, first = static_cast<int>(threadIdx.x) * kEach;
  let_successor_start();
  wait_for_predecessor();
  const float* scores = p.scores + static_cast<int64_t>(list) * p.length;
  uint32_t keys[kEach], valid = 0, total;
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    keys[i] = first + i < p.length ? entry_key(scores[first + i]) : 0;
    valid += keys[i] > 0;
  }
  uint32_t rank = small_exclusive(valid, warps, total);
  const uint32_t front = min(p.protect_first, p.length), back = min(p.protect_last, p.length);
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    if (keys[i] == 0) continue;
    if (rank < front) keys[i] = kLargestKey - rank;
    else if (total - 1 - rank < back) keys[i] = kLargestKey - (front + total - 1 - rank);
    rank++;
  }
  const uint32_t entries = total;
  const int asked = budget_of(p, list);
  const uint32_t taken = min(asked > 0 ? static_cast<uint32_t>(asked) : 0u, entries);
  uint32_t prefix = 0, wanted = taken;
  for (int round = 0; round < 3 && taken > 0; round++) {
    const int shift = round_shift(round), above = round == 0 ? 0 : round_shift(round - 1);
    for (int i = threadIdx.x; i < kBins; i += kSmallThreads) histogram[i] = 0;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kEach; i++)
      if (keys[i] > 0 && (round == 0 || keys[i] >> above == prefix >> above))
        atomicAdd(histogram + ((keys[i] >> shift) & round_mask(round)), 1u);
    __syncthreads();
    const uint32_t upper = histogram[kBins - 1 - 2 * threadIdx.x], lower = histogram[kBins - 2 - 2 * threadIdx.x];
    const uint32_t before = small_exclusive(upper + lower, warps, total);
    if (before < wanted && before + upper + lower >= wanted) {
      const bool in_upper = before + upper >= wanted;
      shared[0] = kBins - (in_upper ? 1 : 2) - 2 * threadIdx.x;
      shared[1] = wanted - before - (in_upper ? 0 : upper);
    }
    __syncthreads();
    prefix |= shared[0] << shift;
    wanted = shared[1];
  }
  uint32_t packed = 0;
#pragma unroll
  for (int i = 0; i < kEach; i++) packed += keys[i] == 0 ? 0u : keys[i] > prefix ? 1u : keys[i] == prefix ? 1u << 16 : 0u;
  const uint32_t before = small_exclusive(packed, warps, total);
  uint32_t greater = before & 0xffff, equal = before >> 16;
  int32_t* target = p.indices + static_cast<int64_t>(list) * p.indices_stride;
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    const bool is_tie = keys[i] > 0 && keys[i] == prefix, is_greater = keys[i] > prefix;
    const uint32_t place = greater + min(equal, wanted);
    if (taken > 0 && (is_greater || (is_tie && equal < wanted)) && place < static_cast<uint32_t>(p.indices_stride))
      target[place] = first + i;
    equal += is_tie;
    greater += is_greater;
  }
  const int len = min(static_cast<int>(taken), p.indices_stride);
  if (threadIdx.x == 0) p.lens[list] = len;
  for (int i = len + static_cast<int>(threadIdx.x); i < p.indices_stride; i += kSmallThreads) target[i] = -1;
}

int64_t lay_out(const WnTopKParams& p, TopKArgs& args) {
  const int64_t budgets = p.num_lists / std::max(1, p.lists_per_budget), all = static_cast<int64_t>(p.num_lists) * p.length;
  args.per_budget = static_cast<int64_t>(p.lists_per_budget) * p.length;
  args.chunks_per_budget = static_cast<int>(ceil_div(args.per_budget, int64_t{kChunk}));
  args.keys = static_cast<uint32_t*>(p.workspace);
  args.histograms = args.keys + all;
  args.chunks = args.histograms + budgets * 3 * kBins;
  args.list_begins = reinterpret_cast<int32_t*>(args.chunks + budgets * args.chunks_per_budget * 2);
  return 4 * (all + budgets * 3 * kBins + budgets * args.chunks_per_budget * 2 + p.num_lists);
}

}  // namespace
}  // namespace winnow

int64_t wn_top_k_workspace_bytes(const WnTopKParams* params) {
  winnow::TopKArgs args{};
  return params ? winnow::lay_out(*params, args) : 0;
}

WnStatus wn_top_k(const WnTopKParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "top_k: params is null");
  const WnTopKParams& p = *params;
  WN_REQUIRE(p.num_lists >= 0 && p.length >= 0 && p.lists_per_budget > 0 && p.num_lists % p.lists_per_budget == 0,
             "top_k: list counts");
  WN_REQUIRE(p.indices_stride >= 0 && p.protect_first >= 0 && p.protect_last >= 0, "top_k: stride or protected entries negative");
  const int64_t protect = int64_t{std::min(p.protect_first, p.length)} + std::min(p.protect_last, p.length);
  if (protect * p.lists_per_budget > 8000000) return make_status(WN_UNSUPPORTED, "top_k: more than 8000000 protected entries a budget");
  if (int64_t{p.lists_per_budget} * p.length >= int64_t{1} << 31) return make_status(WN_UNSUPPORTED, "top_k: 2^31 entries a budget or more");
  if (p.num_lists == 0) return ok();
  WN_REQUIRE(p.scores && (p.counts || p.num_lists / p.lists_per_budget <= WN_TOP_K_FEW) && p.lens && (p.indices || p.indices_stride == 0), "top_k: a required pointer is null");
  const int budgets = p.num_lists / p.lists_per_budget;
  if (p.num_lists > 65535) return make_status(WN_UNSUPPORTED, "top_k: more than 65535 lists in one call");
  TopKArgs args{p};
  WN_REQUIRE(p.workspace && aligned(p.workspace, 16) && p.workspace_bytes >= lay_out(p, args), "top_k: workspace");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  if (p.length == 0) {
    const cudaError_t error = cudaMemsetAsync(p.lens, 0, size_t{4} * p.num_lists, cuda_stream);
    if (error != cudaSuccess) return cuda_status(error, "top_k");
    return cuda_status(cudaMemsetAsync(p.indices, 0xff, size_t{4} * p.num_lists * p.indices_stride, cuda_stream), "top_k");
  }
  if (p.lists_per_budget == 1 && p.length <= kSmallEntries) {
    const auto kernel = p.length <= 4 * kSmallThreads ? top_k_small_kernel<4> : top_k_small_kernel<kPerThread>;
    return cuda_status(launch_early(kernel, dim3(p.num_lists), dim3(kSmallThreads), 0, cuda_stream, p), "top_k");
  }
  const dim3 grid(args.chunks_per_budget, budgets);
  top_k_keys_kernel<<<grid_for(int64_t{p.num_lists} * p.length, 4 * kThreads), kThreads, 0, cuda_stream>>>(args);
  if (protect > 0) top_k_protect_kernel<<<p.num_lists, kThreads, 0, cuda_stream>>>(args);
  top_k_histogram_kernel<0><<<grid, kThreads, 0, cuda_stream>>>(args);
  top_k_histogram_kernel<1><<<grid, kThreads, 0, cuda_stream>>>(args);
  top_k_histogram_kernel<2><<<grid, kThreads, 0, cuda_stream>>>(args);
  top_k_count_kernel<<<grid, kThreads, 0, cuda_stream>>>(args);
  top_k_rank_kernel<<<grid, kThreads, 0, cuda_stream>>>(args);
  if (p.lists_per_budget > 1)
    top_k_write_kernel<<<dim3(ceil_div(p.length, kChunk), p.num_lists), kThreads, 0, cuda_stream>>>(args);
  return launch_status("top_k");
}
