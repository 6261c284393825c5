#include "winnow_cuda/list_moves.h"

#include "element.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

struct ListMovesArgs {
  WnListMovesParams p;
};

WN_DEVICE uint32_t missing(const WnListMovesParams& p) { return p.is_integer ? 0xffffffffu : 0xff800000u; }

/// Elements of what `op` writes, one a thread and turn.
inline int64_t count_of(const WnListMovesParams& p) {
  switch (p.op) {
    case WN_MOVE_WRITE: return p.num_lists * p.length * p.unit;
    case WN_MOVE_MASK:
    case WN_MOVE_REDUCE: return p.num_lists * p.width;
    default: return p.num_lists * p.length;
  }
}

WN_DEVICE float reduce_lists(const WnListMovesParams& p, int64_t i) {
  const auto* x = static_cast<const float*>(p.values) + i / p.width * p.length * p.width + i % p.width;
  float result = x[0];
  for (int s = 1; s < p.length; s++) {
    const float next = x[static_cast<int64_t>(s) * p.width];
    result = p.how == 2 ? (next > result ? next : result) : result + next;
  }
  return p.how == 0 ? result * (1.0f / static_cast<float>(p.length)) : result;
}

WN_DEVICE uint32_t choose_rows(const WnListMovesParams& p, int64_t i) {
  const int64_t list = i / p.length;
  const int place = static_cast<int>(i % p.length);
  // Above zero is the same of an int32 and of the bits of a f32, but for NaN.
  const int32_t predicate = p.index[list / p.how];
  const bool is_yes = predicate > 0 && (p.is_predicate_integer || predicate <= 0x7f800000);
  const int width = is_yes ? p.width : p.unit;
  const auto* from = static_cast<const uint32_t*>(is_yes ? p.values : p.other);
  return place < width ? from[list * width + place] : p.is_integer ? 0xffffffffu : 0u;
}

__global__ void __launch_bounds__(kThreads) list_moves_kernel(const __grid_constant__ ListMovesArgs args, int64_t count) {
  const WnListMovesParams& p = args.p;
  let_successor_start();
  wait_for_predecessor();
  const auto* values = static_cast<const uint32_t*>(p.values);
  auto* out = static_cast<uint32_t*>(p.out);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < count; i += step) {
    if (p.op == WN_MOVE_TAKE) {
      const int at = p.index[i];
      out[i] = at >= 0 && at < p.width ? values[i / p.length * p.width + at] : missing(p);
    } else if (p.op == WN_MOVE_MASK) {
      out[i] = p.lens[i / p.width] < 0 ? missing(p) : values[i];
    } else if (p.op == WN_MOVE_READ) {
      const int64_t list = i / p.length;
      const int place = static_cast<int>(i % p.length);
      out[i] = place < p.lens[list] && place < p.width ? values[list * p.width + place] : missing(p);
    } else if (p.op == WN_MOVE_WRITE) {
      const int64_t entry = i / p.unit, list = entry / p.length;
      const int64_t place = p.lens[list] - p.length + entry % p.length;
      if (place >= 0 && place < p.width) out[(list * p.width + place) * p.unit + i % p.unit] = values[i];
    } else if (p.op == WN_MOVE_CHOOSE) {
      out[i] = choose_rows(p, i);
    } else {
      static_cast<float*>(p.out)[i] = reduce_lists(p, i);
    }
  }
}

/// The second half of a mask, once all is copied.
__global__ void __launch_bounds__(kThreads) list_mask_kernel(const __grid_constant__ ListMovesArgs args) {
  const WnListMovesParams& p = args.p;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x; i < p.num_lists * p.length; i += step) {
    const int64_t list = i / p.length;
    const int at = p.index[i];
    if (i % p.length < p.lens[list] && at >= 0 && at < p.width) static_cast<uint32_t*>(p.out)[list * p.width + at] = missing(p);
  }
}

/// A block per list, 256 slots at a time: named slots are found by bisection, the rest is written in order.
__global__ void __launch_bounds__(kThreads) list_complement_kernel(const __grid_constant__ ListMovesArgs args) {
  const WnListMovesParams& p = args.p;
  __shared__ int warps[kWarps];
  const int64_t list = blockIdx.x;
  const int named = min(p.index_lens[list], p.length), whole = named < 0 ? 0 : min(p.lens[list], p.width);
  const int32_t* index = p.index + list * p.length;
  auto* out = static_cast<int32_t*>(p.out) + list * p.width;
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  int written = 0;
  for (int base = 0; base < whole; base += kThreads) {
    const int slot = base + static_cast<int>(threadIdx.x);
    int low = 0, high = named;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (index[middle] < slot) low = middle + 1;
      else high = middle;
    }
    const bool is_left = slot < whole && !(low < named && index[low] == slot);
    const unsigned votes = __ballot_sync(~0u, is_left);
    __syncthreads();
    if (lane == 0) warps[warp] = __popc(votes);
    __syncthreads();
    int place = written + __popc(votes & ((1u << lane) - 1));
    for (int w = 0; w < kWarps; w++) {
      if (w < warp) place += warps[w];
      written += warps[w];
    }
    if (is_left) out[place] = slot;
  }
  for (int i = written + static_cast<int>(threadIdx.x); i < p.width; i += kThreads) out[i] = -1;
  if (threadIdx.x == 0) p.out_lens[list] = written;
}

}  // namespace
}  // namespace winnow

WnStatus wn_list_moves(const WnListMovesParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "list_moves: params is null");
  const WnListMovesParams& p = *params;
  WN_REQUIRE(p.op >= WN_MOVE_TAKE && p.op <= WN_MOVE_CHOOSE, "list_moves: unknown op");
  WN_REQUIRE(p.num_lists >= 0 && p.num_lists < (1LL << 31) && p.width >= 0 && p.length >= 0 && p.unit >= 0, "list_moves: counts");
  WN_REQUIRE(p.op == WN_MOVE_READ || p.op == WN_MOVE_WRITE || p.op == WN_MOVE_REDUCE || p.index || p.length == 0, "list_moves: index is null");
  WN_REQUIRE(p.op == WN_MOVE_TAKE || p.op >= WN_MOVE_REDUCE || p.lens || p.num_lists == 0, "list_moves: lens is null");
  WN_REQUIRE(p.op != WN_MOVE_COMPLEMENT || (p.index_lens && p.out_lens), "list_moves: lengths are null");
  WN_REQUIRE(p.op != WN_MOVE_CHOOSE || (p.how > 0 && (p.other || p.unit == 0)), "list_moves: lists of a row, or other");
  WN_REQUIRE(p.op != WN_MOVE_REDUCE || p.length > 0, "list_moves: nothing to reduce");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  if (p.num_lists == 0) return ok();
  if (p.op == WN_MOVE_COMPLEMENT) {
    list_complement_kernel<<<static_cast<unsigned>(p.num_lists), kThreads, 0, cuda_stream>>>(ListMovesArgs{p});
    return launch_status("list_moves: complement");
  }
  const int64_t count = count_of(p);
  if (count == 0) return ok();
  WN_REQUIRE(p.out && (p.values || p.width == 0), "list_moves: a required pointer is null");
  const cudaError_t error = launch_early(list_moves_kernel, dim3(grid_for(count)), dim3(kThreads), 0, cuda_stream, ListMovesArgs{p}, count);
  if (error != cudaSuccess) return cuda_status(error, "list_moves");
  if (p.op == WN_MOVE_MASK && p.length > 0)
    list_mask_kernel<<<grid_for(p.num_lists * p.length), kThreads, 0, cuda_stream>>>(ListMovesArgs{p});
  return launch_status("list_moves");
}
