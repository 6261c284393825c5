#include "winnow_cuda/compact_slots.h"

#include "score_lists.cuh"

namespace winnow {
namespace {

/// A thread holds one piece of each of kPasses slots; a slot's piece is kPieces threads wide.
constexpr int kThreads = 512, kPieces = 2, kPasses = 8, kSlots = kThreads / kPieces, kChunk = kSlots * kPasses;

struct CompactArgs {
  WnCompactSlotsParams p;
};

/// A block moves 32 bytes of every slot's key or value of a list, or (the last) the slots' fields. Slots only move forward, and
/// a chunk is read before any of it is written, so that nothing is overwritten before it has been read.
__global__ void __launch_bounds__(kThreads) compact_slots_kernel(const __grid_constant__ CompactArgs a) {
  const WnCompactSlotsParams& p = a.p;
  const WnCacheView& cache = p.cache;
  let_successor_start();
  const int thread = threadIdx.x, segment = blockIdx.y, columns = cache.head_dim / 8;
  wait_for_predecessor();
  const int64_t list = p.one_list_per_row ? segment / cache.num_kv_heads : segment;
  const int count = p.lens[list];
  if (count <= 0) return;
  const int32_t* slots = p.slots + list * p.slots_stride;
  const int32_t* table = cache.page_table + static_cast<int64_t>(segment) * cache.page_table_stride;
  const int last = cache.page_table_stride * 64 - 1;
  auto place = [&](int slot) { return static_cast<int64_t>(table[slot / 64]) * 64 + slot % 64; };
  // A list that pads with -1 early is broken, but stays inside the cache.
  auto source = [&](int i) { return place(min(max(slots[i], 0), last)); };
  // What stays in its place stands at the front.
  const int step = ceil_div(count, kThreads), probe = thread * step;
  const int staying = __syncthreads_count(probe < count && slots[probe] == probe);
  const int begin = max(staying - 1, 0) * step;

  if (static_cast<int>(blockIdx.x) == columns) {
    for (int first = begin; first < count; first += kThreads) {
      const int i = first + thread;
      int position = 0, tokens = 0;
      float bias = 0;
      if (i < count) {
        const int64_t from = source(i);
        position = cache.positions[from];
        tokens = cache.counts[from];
        if (cache.log_bias) bias = cache.log_bias[from];
      }
      __syncthreads();
      if (i < count) {
        const int64_t to = place(i);
        cache.positions[to] = position;
        cache.counts[to] = tokens;
        if (cache.log_bias) cache.log_bias[to] = bias;
      }
    }
    return;
  }
  // Blocks of the first half of the columns move keys, those of the second values.
  const int pieces = cache.head_dim / 8, piece = static_cast<int>(blockIdx.x) * kPieces + thread % kPieces;
  const int plane = piece / pieces, column = piece % pieces;
  auto* words = static_cast<uint4*>(cache.pages);
  auto word = [&](int64_t slot) { return (slot / 64 * 128 + 64 * plane + slot % 64) * pieces + column; };
  for (int first = begin; first < count; first += kChunk) {
    uint4 held[kPasses];
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      const int i = first + pass * kSlots + thread / kPieces;
      held[pass] = i < count ? words[word(source(i))] : uint4{0, 0, 0, 0};
    }
    __syncthreads();
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      const int i = first + pass * kSlots + thread / kPieces;
      if (i < count) words[word(place(i))] = held[pass];
    }
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_compact_slots(const WnCompactSlotsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "compact_slots: params is null");
  const WnCompactSlotsParams& p = *params;
  WN_REQUIRE(p.cache.pages && p.cache.page_table && p.cache.positions && p.cache.counts && aligned(p.cache.pages, 16),
             "compact_slots: the cache");
  WN_REQUIRE(p.cache.rows > 0 && p.cache.num_kv_heads > 0 && int64_t{p.cache.rows} * p.cache.num_kv_heads <= 65535 &&
                 p.cache.page_table_stride > 0, "compact_slots: counts");
  WN_REQUIRE(p.cache.head_dim > 0 && p.cache.head_dim % 8 == 0, "compact_slots: head_dim is no multiple of 8");
  WN_REQUIRE(p.slots && p.lens && p.slots_stride > 0, "compact_slots: the lists");
  const dim3 grid(p.cache.head_dim / 8 + 1, p.cache.rows * p.cache.num_kv_heads);
  return cuda_status(launch_early(compact_slots_kernel, grid, dim3(kThreads), 0, static_cast<cudaStream_t>(stream), CompactArgs{p}),
                     "compact_slots");
}
