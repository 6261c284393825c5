#include "winnow_cuda/top_p.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 512, kWarps = kThreads / 32;

struct TopPArgs {
  WnTopPParams p;
};

/// What a block shares; every member function is for all threads and begins with a barrier.
struct Block {
  double* sums;
  int* votes;

  /// The sum over all threads, in a fixed order.
  WN_DEVICE double sum(double value) const {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0u, value, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    double total = sums[0];
    for (int w = 1; w < kWarps; w++) total += sums[w];
    return total;
  }
  /// How many threads before this one say yes, and in `total` what was there before and all of them.
  WN_DEVICE int rank(bool yes, int* total) const {
    const unsigned ballot = __ballot_sync(~0u, yes);
    __syncthreads();
    if (threadIdx.x % 32 == 0) votes[threadIdx.x / 32] = __popc(ballot);
    __syncthreads();
    const int warp = threadIdx.x / 32;
    int place = *total + __popc(ballot & ((1u << (threadIdx.x % 32)) - 1));
    for (int w = 0; w < kWarps; w++) {
      if (w < warp) place += votes[w];
      *total += votes[w];
    }
    return place;
  }
};

/// A list; entries before `first_free` and from `last_free` on are protected.
struct List {
  const float* weights;
  int length, first_free, last_free;

  WN_DEVICE bool is_entry(int i) const { return i < length && weights[i] > -INFINITY; }
  WN_DEVICE bool is_free(int i) const { return is_entry(i) && i >= first_free && i < last_free; }
  WN_DEVICE uint32_t key(int i) const { return radix_key(__float_as_uint(weights[i])); }
  /// Weight of the free entries of at least this key.
  WN_DEVICE double above(const Block& block, uint32_t least) const {
    double sum = 0;
    for (int i = threadIdx.x; i < length; i += kThreads)
      if (is_free(i) && key(i) >= least) sum += weights[i];
    return block.sum(sum);
  }
};

/// Where protected entries end and begin again.
WN_DEVICE void find_protected(const WnTopPParams& p, const Block& block, int count, int* borders, List* list) {
  if (threadIdx.x == 0) {
    borders[0] = p.protect_first == 0 ? 0 : list->length;
    borders[1] = p.protect_last >= count ? 0 : list->length;
  }
  int seen = 0;
  for (int base = 0; base < list->length; base += kThreads) {
    const int i = base + static_cast<int>(threadIdx.x);
    const bool is_entry = list->is_entry(i);
    const int place = block.rank(is_entry, &seen);
    if (is_entry && place == p.protect_first - 1) borders[0] = i + 1;
    if (is_entry && p.protect_last > 0 && place == count - p.protect_last) borders[1] = i;
  }
  __syncthreads();
  list->first_free = borders[0];
  list->last_free = borders[1];
}

__global__ void __launch_bounds__(kThreads) top_p_kernel(const __grid_constant__ TopPArgs args) {
  const WnTopPParams& p = args.p;
  __shared__ double sums[kWarps];
  __shared__ int votes[kWarps], borders[2];
  const Block block{sums, votes};
  List list{p.weights + blockIdx.x * static_cast<int64_t>(p.length), p.length, 0, p.length};
  int count = 0, refused = 0;
  for (int i = threadIdx.x; i < p.length; i += kThreads) {
    count += list.is_entry(i);
    refused |= list.is_entry(i) && list.weights[i] < 0;
  }
  count = static_cast<int>(block.sum(count));
  refused = __syncthreads_or(refused);
  find_protected(p, block, count, borders, &list);

  double held = 0;
  for (int i = threadIdx.x; i < p.length; i += kThreads)
    if (list.is_entry(i) && !list.is_free(i)) held += list.weights[i];
  held = block.sum(held);
  const double wanted = p.mass * (held + list.above(block, 0));
  // The largest key whose entries and all above them are enough; of its own entries only the first `ties` are needed.
  uint32_t least = 0xffffffffu;
  int ties = 0;
  if (held < wanted) {
    least = 0x80000000u;
    for (int bit = 30; bit >= 0; bit--)
      if (held + list.above(block, least | 1u << bit) >= wanted) least |= 1u << bit;
    const double base = held + list.above(block, least + 1), weight = __uint_as_float(least & 0x7fffffffu);
    const double needed = ceil((wanted - base) / weight);
    ties = needed >= 1 && needed <= p.length ? static_cast<int>(needed) : 1;
    while (ties > 1 && base + (ties - 1) * weight >= wanted) ties--;
    while (ties < p.length && base + ties * weight < wanted) ties++;
  }

  int32_t* indices = p.indices + blockIdx.x * static_cast<int64_t>(p.length);
  int written = 0, equal = 0;
  for (int base = 0; base < p.length; base += kThreads) {
    const int i = base + static_cast<int>(threadIdx.x);
    const bool is_free = list.is_free(i), is_tie = is_free && list.key(i) == least;
    const int tie = block.rank(is_tie, &equal);
    const bool is_taken = !refused && list.is_entry(i) && (!is_free || list.key(i) > least || (is_tie && tie < ties));
    const int place = block.rank(is_taken, &written);
    if (is_taken) indices[place] = i;
  }
  for (int i = written + static_cast<int>(threadIdx.x); i < p.length; i += kThreads) indices[i] = -1;
  if (threadIdx.x == 0) p.lens[blockIdx.x] = refused ? -1 : written;
}

}  // namespace
}  // namespace winnow

WnStatus wn_top_p(const WnTopPParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "top_p: params is null");
  const WnTopPParams& p = *params;
  WN_REQUIRE(p.num_lists >= 0 && p.num_lists < (1LL << 31) && p.length >= 0 && p.protect_first >= 0 && p.protect_last >= 0, "top_p: counts");
  WN_REQUIRE(p.mass >= 0 && p.mass <= 1, "top_p: mass not in 0 .. 1");
  if (p.num_lists == 0) return ok();
  WN_REQUIRE(p.lens && (p.length == 0 || (p.weights && p.indices)), "top_p: a required pointer is null");
  top_p_kernel<<<static_cast<unsigned>(p.num_lists), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(TopPArgs{p});
  return launch_status("top_p");
}
