#include "winnow_cuda/gather_compact.h"

#include "device.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256, kSlotsPerBlock = 64;

struct GatherArgs {
  WnGatherCompactParams p;
};

/// A block copies 64 slots of one row: 16 bytes a thread, key and value of a slot together.
__global__ void __launch_bounds__(kThreads) gather_compact_kernel(const __grid_constant__ GatherArgs args) {
  const WnGatherCompactParams& p = args.p;
  const int row = blockIdx.y, first = blockIdx.x * kSlotsPerBlock, count = p.counts[row];
  if (first >= count) return;
  const int words = p.head_dim / 8, slots = min(kSlotsPerBlock, count - first);
  const int32_t* indices = p.indices ? p.indices + static_cast<int64_t>(row) * p.indices_stride + first : nullptr;
  const int32_t* source_table = p.source_table + static_cast<int64_t>(row) * p.source_stride;
  const int64_t target_page = p.target_table[static_cast<int64_t>(row) * p.target_stride + blockIdx.x];
  const auto* source = static_cast<const uint4*>(p.source);
  auto* target = static_cast<uint4*>(p.target);
  for (int i = threadIdx.x; i < slots * words; i += kThreads) {
    const int slot = i / words, word = i % words, token = indices ? indices[slot] : first + slot;
    const int64_t from = (static_cast<int64_t>(source_table[token / 64]) * 128 + token % 64) * words + word;
    const int64_t to = (target_page * 128 + slot) * words + word;
    const uint4 key = source[from], value = source[from + 64 * words];
    target[to] = key;
    target[to + 64 * words] = value;
  }
  if (threadIdx.x < slots) {
    const int token = indices ? indices[threadIdx.x] : first + threadIdx.x;
    const int64_t from = static_cast<int64_t>(source_table[token / 64]) * 64 + token % 64, to = target_page * 64 + threadIdx.x;
    if (p.source_bias) p.target_bias[to] = p.source_bias[from];
    if (p.positions) p.positions[to] = p.positions[from];
    if (p.slot_counts) p.slot_counts[to] = p.slot_counts[from];
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_gather_compact(const WnGatherCompactParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "gather_compact: params is null");
  const WnGatherCompactParams& p = *params;
  WN_REQUIRE(p.source && p.source_table && p.counts && p.target && p.target_table,
             "gather_compact: a required pointer is null");
  WN_REQUIRE(aligned(p.source, 16) && aligned(p.target, 16), "gather_compact: misaligned pointer");
  WN_REQUIRE(!p.source_bias == !p.target_bias, "gather_compact: one bias without the other");
  WN_REQUIRE(p.num_rows > 0 && p.num_rows <= 65535 && p.target_stride > 0, "gather_compact: row counts");
  WN_REQUIRE(p.head_dim > 0 && p.head_dim % 8 == 0, "gather_compact: head_dim is no multiple of 8");
  const int32_t longest = p.max_count > 0 ? p.max_count : p.indices_stride;
  const dim3 grid(static_cast<unsigned>(ceil_div(longest, kSlotsPerBlock)), p.num_rows);
  if (grid.x == 0) return ok();
  gather_compact_kernel<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(GatherArgs{p});
  return launch_status("gather_compact");
}
