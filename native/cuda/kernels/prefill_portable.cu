#include "prefill_portable.cuh"

namespace winnow {
namespace {

/// By one thread.
WN_DEVICE void begin_walk(const PrefillPortableArgs& a, PortableWalk* walk) {
  const int groups = a.num_query_heads / a.pack;
  walk->row = blockIdx.x / groups;
  walk->head = blockIdx.x % groups * a.pack;
  const int kv_head = walk->head / (a.num_query_heads / a.num_kv_heads);
  const int64_t segment = static_cast<int64_t>(walk->row) * a.num_kv_heads + kv_head;
  walk->n = a.kv_lens ? a.kv_lens[segment] : a.kv_len;
  walk->offset = a.q_offset < 0 ? walk->n - a.query_len : a.q_offset;
  walk->table = a.page_table ? a.page_table + segment * a.page_table_stride : nullptr;
  walk->reach = a.sliding_window > 0 ? a.reach + segment * a.page_table_stride : nullptr;
  walk->list = nullptr;
  walk->head_offset = kv_head * a.head_stride;
}

WN_DEVICE PortableRow row_of(const PrefillPortableArgs& a, const PortableWalk& walk, int packed_row) {
  const int own = walk.offset + packed_row / a.pack, query_head = walk.head + packed_row % a.pack;
  PortableRow row{a.sees_all ? walk.n : min(own + 1, walk.n), 0, 0, INT32_MIN};
  const int sink = a.windows ? a.windows[2 * query_head] : a.sink_tokens;
  const int recent = a.windows ? a.windows[2 * query_head + 1] : a.window_tokens;
  if (a.windows ? sink >= 0 && recent >= 0 : recent > 0) {
    row.sink_end = sink;
    row.recent_begin = max(own - recent + 1, 0);
  }
  if (a.sliding_window > 0) {
    const int page = walk.table[own / WN_PAGE_SIZE];
    if (page >= 0) row.least = a.positions[static_cast<int64_t>(page) * WN_PAGE_SIZE + own % WN_PAGE_SIZE] - a.sliding_window;
  }
  return row;
}

/// One block: kRows packed queries of a row and head group against every step of 64 keys that one of them sees, from the
/// last downwards. Values arrive while scores are made, and the next keys while values are weighed.
template <typename C>
__global__ void __launch_bounds__(C::kThreads, C::kBlocks) prefill_portable_kernel(const __grid_constant__ PrefillPortableArgs a) {
  constexpr int kRows = C::kRows, kThreads = C::kThreads, kPieces = C::kPieces;
  extern __shared__ __align__(128) char shared[];
  __shared__ PortableRow see[kRows];
  __shared__ PortableEdges edges;
  __shared__ PortableWalk walk;
  __shared__ float parked[C::kParked][kThreads];
  __shared__ PortableStep ahead[kStepsKept];
  const uint32_t q_tile = shared_address(shared), k_tile = q_tile + C::kQueryBytes, v_tile = k_tile + C::kTileBytes;
  const int thread = threadIdx.x, packed = a.query_len * a.pack;
  // The last queries have most keys: they go first, those of all heads side by side.
  const int first_packed = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows;
  auto query_row = [&](int packed_row) {
    return (static_cast<int64_t>(walk.row) * a.query_len + packed_row / a.pack) * a.num_query_heads + walk.head + packed_row % a.pack;
  };
  if (thread == 0) begin_walk(a, &walk);
  if (thread == 0) edges = {INT32_MAX, 0, INT32_MAX, 0, INT32_MAX, 0, INT32_MAX, INT32_MIN};
  __syncthreads();

  const int pieces = a.head_dim / 8;
  // Pieces past head_dim are zero in every tile, and no copy touches them again.
  if (pieces < kPieces)
    for (int i = thread; i < (kRows + 2 * C::kKeys) * kPieces; i += kThreads)
      if (i % kPieces >= pieces)
        *reinterpret_cast<uint4*>(shared + portable_byte<kPieces>(i / kPieces, i % kPieces)) = uint4{0, 0, 0, 0};
#pragma unroll 1
  for (int i = thread; i < kRows * kPieces; i += kThreads) {
    const int r = i / kPieces, piece = i % kPieces;
    if (piece >= pieces) continue;
    const bool valid = first_packed + r < packed;
    async_copy_16(q_tile + portable_byte<kPieces>(r, piece),
                  static_cast<const __nv_bfloat16*>(a.q) + query_row(valid ? first_packed + r : 0) * a.head_dim + 8 * piece, valid);
  }
  async_copy_commit();

#pragma unroll 1
  for (int r = thread; r < kRows; r += kThreads) {
    // Rows past the last query see what it sees, and are not stored.
    const PortableRow sees = row_of(a, walk, min(first_packed + r, packed - 1));
    see[r] = sees;
    atomicMin(&edges.least_limit, sees.limit);
    atomicMax(&edges.greatest_limit, sees.limit);
    atomicMin(&edges.least_sink, sees.sink_end);
    atomicMax(&edges.greatest_sink, sees.sink_end);
    atomicMin(&edges.least_begin, sees.recent_begin);
    atomicMax(&edges.greatest_begin, sees.recent_begin);
    atomicMin(&edges.least_position, sees.least);
    atomicMax(&edges.greatest_position, sees.least);
  }
  __syncthreads();
  if (thread == 0) {
    walk.end = ceil_div(edges.greatest_limit, C::kKeys);
    walk.first = walk.reach ? walk.end : min(edges.least_begin / C::kKeys, walk.end);
  }
  __syncthreads();
  if (walk.reach) {
    // Positions need not ascend, so the first block that anyone sees is looked for.
    for (int block = edges.least_begin / C::kKeys + thread; block < walk.end; block += kThreads)
      if (walk.reach[block].greatest > edges.least_position) {
        atomicMin(&walk.first, block);
        break;
      }
    __syncthreads();
  }
  if (thread == 0) {
    walk.sinks = min(edges.greatest_sink / C::kKeys + (edges.greatest_sink % C::kKeys > 0), walk.first);
    walk.steps = walk.end - walk.first + walk.sinks;
    if (a.block_row_ptr) {
      const int32_t* bounds =
          a.block_row_ptr + walk.head * ceil_div(a.query_len, WN_PREFILL_ROW_BLOCK) + first_packed / WN_PREFILL_ROW_BLOCK;
      walk.list = a.block_ids + bounds[0];
      walk.steps = bounds[1] - bounds[0];
    }
  }
  __syncthreads();

  auto look_ahead = [&](int from) {
    const int i = from + thread_anew();
    if (i < min(from + kStepsAhead, walk.steps)) ahead[i % kStepsKept] = portable_step(walk, edges, i);
  };
  auto fetch = [&](uint32_t target, const void* source, int i) {
    constexpr int kRowsAtOnce = kThreads / C::kLanes;
    const PortableStep step = ahead[i % kStepsKept];
    const int row = thread_anew() / C::kLanes, piece = thread_anew() % C::kLanes;
    // What lies behind the last slot, or was given back, arrives as zeros: a weight of 0 does not undo a NaN.
    const int there = step.place < 0 ? 0 : walk.n - step.block() * C::kKeys;
    const auto* from = static_cast<const __nv_bfloat16*>(source) + max(step.place, 0) * a.block_stride + walk.head_offset +
                       row * a.token_stride + 8 * piece;
    if (8 * piece < a.head_dim) {
#pragma unroll
      for (int j = 0; j < C::kKeys / kRowsAtOnce; j++) {
        const int r = row + j * kRowsAtOnce;
        async_copy_16(target + portable_byte<kPieces>(r, piece), from, r < there);
        from += kRowsAtOnce * a.token_stride;
      }
    }
    async_copy_commit();
  };

  PortableWarp<C> state(parked);
  // From what scores are after a cap, if any, to log2 units.
  const float scale = kLog2e * (C::kCap ? a.soft_cap : a.softmax_scale);
  look_ahead(0);
  __syncthreads();
  if (walk.steps > 0) fetch(k_tile, a.k, 0);
#pragma unroll 1
  for (int i = 0; i < walk.steps; i++) {
    if (i % kStepsAhead == 0) look_ahead(i + kStepsAhead);
    async_copy_wait<0>();
    __syncthreads();  // keys are here; the values of the step before are done with
    fetch(v_tile, a.v, i);
    float s[C::kTiles][PortableWarp<C>::kColumns][4];
    state.scores(q_tile, k_tile, s);
    if constexpr (C::kCap) state.cap(s, a.softmax_scale / a.soft_cap);
    const PortableStep step = ahead[i % kStepsKept];
    if (!step.is_plain())
      state.mask(s, see, step.place < 0 ? INT32_MAX - C::kKeys : step.block() * C::kKeys,
                 walk.reach && step.place >= 0 ? a.positions + static_cast<int64_t>(step.place) * WN_PAGE_SIZE : nullptr);
    async_copy_wait<0>();
    __syncthreads();  // values are here, keys are done with
    if (i + 1 < walk.steps) fetch(k_tile, a.k, i + 1);
    state.raise(s, scale);
    state.add_values(v_tile, s, scale);
  }
  async_copy_wait<0>();
  float sum[C::kTiles][2];
  state.join_sums(sum);

  const int lane = thread_anew() & 31, warp_row = thread_anew() / 32 * 16 * C::kTiles;
#pragma unroll
  for (int m = 0; m < C::kTiles; m++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int packed_row = first_packed + warp_row + 16 * m + 8 * i + lane / 4;
      if (packed_row >= packed) continue;
      const float inverse = sum[m][i] > 0 ? 1 / sum[m][i] : 0;
      auto* target = static_cast<__nv_bfloat16*>(a.out) + query_row(packed_row) * a.head_dim + 2 * (lane % 4);
#pragma unroll
      for (int c = 0; c < C::kDim / 8; c++)
        if (8 * c < a.head_dim)
          *reinterpret_cast<uint32_t*>(target + 8 * c) =
              pack_bf16(state.out[m][c][2 * i] * inverse, state.out[m][c][2 * i + 1] * inverse);
      if (a.lse && lane % 4 == 0)
        a.lse[(static_cast<int64_t>(walk.row) * a.query_len + packed_row / a.pack) * a.lse_token_stride +
              (walk.head + packed_row % a.pack) * a.lse_head_stride] =
            sum[m][i] > 0 ? state.maximum[m][i] * kLn2 + logf(sum[m][i]) : -INFINITY;
    }
}

/// One warp a page of a segment.
__global__ void __launch_bounds__(256) page_reach_kernel(const __grid_constant__ PrefillPortableArgs a) {
  const int64_t at = blockIdx.x * 8ll + threadIdx.x / 32, segments = static_cast<int64_t>(a.rows) * a.num_kv_heads;
  if (at >= segments * a.page_table_stride) return;
  const int n = a.kv_lens[at / a.page_table_stride], lane = threadIdx.x & 31;
  const int slot = static_cast<int>(at % a.page_table_stride) * WN_PAGE_SIZE + 2 * lane, page = slot - 2 * lane < n ? a.page_table[at] : -1;
  int least = INT32_MAX, greatest = INT32_MIN;
  if (page >= 0) {
    const int32_t* own = a.positions + static_cast<int64_t>(page) * WN_PAGE_SIZE + 2 * lane;
    for (int i = 0; i < 2; i++)
      if (slot + i < n) {
        least = min(least, own[i]);
        greatest = max(greatest, own[i]);
      }
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    least = min(least, __shfl_xor_sync(~0u, least, step));
    greatest = max(greatest, __shfl_xor_sync(~0u, greatest, step));
  }
  if (lane == 0) a.reach[at] = {least, greatest};
}

template <typename C>
WnStatus launch(const PrefillPortableArgs& a, cudaStream_t stream) {
  const int64_t packed = static_cast<int64_t>(a.query_len) * a.pack, tiles = ceil_div(packed, int64_t{C::kRows});
  const int64_t groups = static_cast<int64_t>(a.rows) * (a.num_query_heads / a.pack);
  WN_REQUIRE(packed < (1ll << 31) - 256 && tiles <= 65535, "prefill_portable: too many queries");
  WN_REQUIRE(groups < (1ll << 31), "prefill_portable: too many rows and heads");
  const auto kernel = prefill_portable_kernel<C>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes);
  if (error != cudaSuccess) return cuda_status(error, "prefill_portable: shared memory");
  kernel<<<dim3(static_cast<unsigned>(groups), static_cast<unsigned>(tiles)), C::kThreads, C::kSharedBytes, stream>>>(a);
  return launch_status("prefill_portable");
}
template <bool kCap>
WnStatus dispatch(const PrefillPortableArgs& a, cudaStream_t stream) {
  if (a.head_dim <= 64) return launch<PortableConfig<64, 2, kCap ? 2 : 3, kCap>>(a, stream);
  if (a.head_dim <= 96) return launch<PortableConfig<96, 2, 2, kCap>>(a, stream);
  if (a.head_dim <= 128) return launch<PortableConfig<128, 2, 2, kCap>>(a, stream);
  return launch<PortableConfig<256, 1, 2, kCap>>(a, stream);
}

}  // namespace

WnStatus prefill_portable(const PrefillPortableArgs& args, void* stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  if (args.sliding_window > 0) {
    const int64_t pages = static_cast<int64_t>(args.rows) * args.num_kv_heads * args.page_table_stride;
    page_reach_kernel<<<static_cast<unsigned>(ceil_div(pages, int64_t{8})), 256, 0, cuda_stream>>>(args);
    const WnStatus status = launch_status("prefill_portable: reach");
    if (status.code) return status;
  }
  return args.soft_cap > 0 ? dispatch<true>(args, cuda_stream) : dispatch<false>(args, cuda_stream);
}

WnStatus prefill_portable(const WnPrefillAttentionParams& p, void* stream) {
  PrefillPortableArgs a{};
  a.q = p.q;
  a.k = p.pages ? p.pages : p.k;
  a.v = p.pages ? static_cast<const __nv_bfloat16*>(p.pages) + WN_PAGE_SIZE * p.head_dim : p.v;
  a.page_table = p.pages ? p.page_table : nullptr;
  a.block_row_ptr = p.block_row_ptr;
  a.block_ids = p.block_ids;
  a.out = p.out;
  a.lse = p.lse;
  a.token_stride = p.pages ? p.head_dim : p.kv_token_stride;
  a.head_stride = p.pages ? 0 : p.kv_head_stride;
  a.block_stride = (p.pages ? 2 : 1) * WN_PAGE_SIZE * a.token_stride;
  a.lse_token_stride = p.lse_by_token ? p.num_query_heads : 1;
  a.lse_head_stride = p.lse_by_token ? 1 : p.query_len;
  a.rows = 1;
  a.query_len = p.query_len;
  a.num_query_heads = p.num_query_heads;
  a.num_kv_heads = p.num_kv_heads;
  a.head_dim = p.head_dim;
  a.pack = p.block_row_ptr ? 1 : p.num_query_heads / p.num_kv_heads;
  a.page_table_stride = p.page_table_stride;
  a.kv_len = p.kv_len;
  a.q_offset = p.q_offset;
  a.sink_tokens = p.sink_tokens;
  a.window_tokens = p.window_tokens;
  a.softmax_scale = p.softmax_scale;
  return prefill_portable(a, stream);
}

}  // namespace winnow
