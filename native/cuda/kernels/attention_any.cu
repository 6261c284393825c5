#include "winnow_cuda/attention_any.h"

#include "attention_any.cuh"
#include "lse_merge.cuh"
#include "prefill_portable.h"

namespace winnow {
namespace {

/// There are at most 64 splits, of at least so many tiles of keys: how many keys go to one depends on the row alone.
constexpr int kMaxSplits = 64, kMinSplitTiles = 2;
/// More packed queries than this fill the device without splits (and would make much scratch).
constexpr int kMaxSplitQueries = 256;

/// One block: kRows packed queries of a row and head group, one split of their keys. Few: the four warps share sixteen
/// queries and take a quarter of each tile; else each has sixteen of its own and all keys.
template <int kDim, bool kFew>
__global__ void __launch_bounds__(kAnyThreads, kDim == 64 ? (kFew ? 5 : 3) : kDim == 128 ? (kFew ? 4 : 2) : 2)
    attention_any_kernel(const __grid_constant__ AnyArgs a) {
  constexpr int kRows = kFew ? 16 : 64, kColumns = kFew ? 16 : 64, kPieces = kDim / 8;
  using Warp = AnyWarp<kDim, kColumns>;
  const WnAttentionAnyParams& p = a.p;
  extern __shared__ __align__(128) char shared[];
  __shared__ AnyKeys keys[2];
  let_successor_start();
  __shared__ int first_seen;
  const uint32_t q_tile = shared_address(shared), k_tile = q_tile + kRows * kDim * 2, v_tile = k_tile + kAnyKeys * kDim * 2;
  const int thread = threadIdx.x, warp = thread / 32, pieces = p.head_dim / 8;
  // The last queries have most keys: they go first.
  const int first_packed = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows, packed = p.query_len * a.pack;
  const int first_token = first_packed / a.pack, last_token = min(first_packed + kRows - 1, packed - 1) / a.pack;
  AnyRange range(a, blockIdx.z);
  range.choose(a, first_token, last_token);
  auto query_row = [&](int packed_row) {
    return (static_cast<int64_t>(range.row) * p.query_len + packed_row / a.pack) * p.num_query_heads + range.head +
           packed_row % a.pack;
  };

  for (int i = thread; i < kRows * kPieces; i += kAnyThreads) {
    const int r = i / kPieces, piece = i % kPieces;
    const bool valid = first_packed + r < packed && piece < pieces;
    const auto* source = static_cast<const __nv_bfloat16*>(p.q) + (valid ? query_row(first_packed + r) * p.head_dim + 8 * piece : 0);
    async_copy_16(q_tile + piece_byte<kPieces>(r, piece), source, valid);
  }
  async_copy_commit();

  Warp state(p, q_tile, kFew ? 0 : 16 * warp, kFew ? 16 * warp : 0);
  float* probs[2] = {nullptr, nullptr};
  int64_t own[2] = {-1, -1};
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int packed_row = first_packed + state.first_row + state.g + 8 * i;
    if (packed_row >= packed) continue;
    own[i] = query_row(packed_row);
    state.row[i].aim(range, packed_row / a.pack, range.head + packed_row % a.pack);
    if (p.probs) probs[i] = p.probs + own[i] * p.max_slots;
  }

  int first_tile = 0;
  const int tiles = ceil_div(range.count, kAnyKeys);
  if (p.sliding_window > 0 && !range.entries && tiles > 1) {
    // Positions need not ascend, so the first tile that anyone sees is looked for.
    if (thread == 0) first_seen = tiles - 1;
    __syncthreads();
    int least = INT32_MAX;
    for (int token = first_token; token <= last_token; token++)
      least = min(least, range.position(range.first_new + token) - p.sliding_window);
    for (int tile = thread; tile < tiles - 1; tile += kAnyThreads) {
      bool seen = false;
      for (int i = 0; i < kAnyKeys; i++) seen = seen || range.position(range.slot(tile * kAnyKeys + i)) > least;
      if (seen) {
        atomicMin(&first_seen, tile);
        break;
      }
    }
    __syncthreads();
    first_tile = first_seen;
  }
  const int splits = a.part_out ? min(static_cast<int>(gridDim.x), ceil_div(tiles - first_tile, kMinSplitTiles)) : 1;
  const int per_split = splits > 0 ? ceil_div(tiles - first_tile, splits) : 0;
  const int begin = first_tile + blockIdx.x * per_split, end = min(begin + per_split, tiles);

  /// Looks up the keys of a tile; whether this thread's key is seen by every query of the block.
  auto look_up = [&](int tile) {
    if (thread >= kAnyKeys) return true;
    const int slot = range.slot(tile * kAnyKeys + thread), arena = slot < 0 ? -1 : range.arena(slot);
    AnyKeys& target = keys[tile & 1];
    target.slot[thread] = arena < 0 ? -1 : slot;
    target.arena[thread] = arena;
    if (p.sliding_window > 0) target.position[thread] = arena < 0 ? 0 : p.positions[arena];
    if (p.log_bias) target.bias[thread] = arena < 0 ? 0 : p.log_bias[arena] * kLog2e;
    const int last_common = p.visible == WN_SEE_CAUSAL ? range.first_new + first_token
                            : p.visible == WN_SEE_TREE ? range.first_new - 1
                                                       : range.n - 1;
    return arena >= 0 && slot <= last_common && !p.windows && p.sliding_window == 0;
  };
  auto fetch = [&](uint32_t target, int tile, int is_value) {
    for (int i = thread; i < kAnyKeys * kPieces; i += kAnyThreads) {
      const int key = i / kPieces, piece = i % kPieces;
      if (piece >= pieces) continue;
      const int arena = keys[tile & 1].arena[key];
      const int64_t row = arena < 0 ? 0 : static_cast<int64_t>(arena / 64) * 128 + arena % 64 + 64 * is_value;
      async_copy_16(target + piece_byte<kPieces>(key, piece),
                    static_cast<const __nv_bfloat16*>(p.pages) + row * p.head_dim + 8 * piece, arena >= 0);
    }
    async_copy_commit();
  };

  bool plain = true;
  if (begin < end) {
    plain = __syncthreads_and(look_up(begin));
    fetch(k_tile, begin, 0);
  }
#pragma unroll 1
  for (int tile = begin; tile < end; tile++) {
    async_copy_wait<0>();
    __syncthreads();  // keys are here; the values of the tile before are done with
    fetch(v_tile, tile, 1);
    const bool next_plain = tile + 1 >= end || look_up(tile + 1);
    float s[Warp::kScores][4];
    state.scores(k_tile, s);
    state.finish_scores(keys[tile & 1], plain, s, probs);
    state.weigh(s);
    async_copy_wait<0>();
    plain = __syncthreads_and(next_plain);  // values are here, keys are done with
    if (tile + 1 < end) fetch(k_tile, tile + 1, 0);
    state.add_values(v_tile, s);
  }
  async_copy_wait<0>();
  state.join_sums();

  const int64_t rows = static_cast<int64_t>(p.rows) * p.query_len * p.num_query_heads;
  auto finish = [&](int64_t row, float maximum, float sum) {
    const float lse = sum > 0 ? maximum * kLn2 + logf(sum) : -INFINITY;
    if (a.part_out) {
      a.part_lse[blockIdx.x * rows + row] = lse;
    } else if (a.part_lse) {
      a.part_lse[row] = lse;
    }
  };
  if constexpr (!kFew) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if (own[i] < 0) continue;
      const float inverse = state.sum[i] > 0 ? 1 / state.sum[i] : 0;
#pragma unroll
      for (int c = 0; c < kDim / 8; c++) {
        if (8 * c >= p.head_dim) break;
        const float low = state.out[c][2 * i] * inverse, high = state.out[c][2 * i + 1] * inverse;
        const int column = 8 * c + 2 * state.t;
        if (a.part_out) {
          if (begin < end)
            *reinterpret_cast<float2*>(a.part_out + (blockIdx.x * rows + own[i]) * p.head_dim + column) = {low, high};
        } else {
          *reinterpret_cast<uint32_t*>(static_cast<__nv_bfloat16*>(p.out) + own[i] * p.head_dim + column) = pack_bf16(low, high);
        }
      }
      if (state.t == 0) finish(own[i], state.maximum[i], state.sum[i]);
    }
  } else {
    __shared__ float maxima[4][16], sums[4][16];
    __syncthreads();  // keys and values are done with: their place holds the warps' results
    auto* outs = reinterpret_cast<float*>(shared + kRows * kDim * 2);  // [4][16][kDim]
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int r = state.g + 8 * i;
      if (state.t == 0) {
        maxima[warp][r] = state.maximum[i];
        sums[warp][r] = state.sum[i];
      }
#pragma unroll
      for (int c = 0; c < kDim / 8; c++)
        *reinterpret_cast<float2*>(outs + (warp * 16 + r) * kDim + 8 * c + 2 * state.t) = {state.out[c][2 * i], state.out[c][2 * i + 1]};
    }
    __syncthreads();
    for (int i = thread; i < 16 * kDim; i += kAnyThreads) {
      const int r = i / kDim, column = i % kDim;
      if (first_packed + r >= packed || column >= p.head_dim) continue;
      float best = -INFINITY, sum = 0, value = 0;
#pragma unroll
      for (int w = 0; w < 4; w++) best = fmaxf(best, maxima[w][r]);
#pragma unroll
      for (int w = 0; w < 4; w++) {
        const float weight = exp2_fast(maxima[w][r] - (best == -INFINITY ? 0 : best));
        sum += weight * sums[w][r];
        value += weight * outs[(w * 16 + r) * kDim + column];
      }
      const int64_t row = query_row(first_packed + r);
      value = sum > 0 ? value / sum : 0;
      if (a.part_out) {
        if (begin < end) a.part_out[(blockIdx.x * rows + row) * p.head_dim + column] = value;
      } else {
        static_cast<__nv_bfloat16*>(p.out)[row * p.head_dim + column] = __float2bfloat16(value);
      }
      if (column == 0) finish(row, best, sum);
    }
  }
}

/// Scores in log2 units become probabilities; what was not read holds -inf, which becomes 0 up to the row's length.
__global__ void __launch_bounds__(256) finish_probs_kernel(const __grid_constant__ AnyArgs a, const float* lse) {
  const WnAttentionAnyParams& p = a.p;
  const int64_t slot = blockIdx.x * 256ll + threadIdx.x, row = blockIdx.y;
  const int64_t segment = row / p.num_query_heads * p.num_kv_heads +
                          row % p.num_query_heads / (p.num_query_heads / p.num_kv_heads);
  if (slot >= p.max_slots || slot >= p.kv_lens[segment]) return;
  float& x = p.probs[row * p.max_slots + slot];
  x = x == -INFINITY ? 0 : exp2_fast(x - lse[row] * kLog2e);
}
__global__ void __launch_bounds__(256) clear_probs_kernel(float* probs, int64_t count) {
  const int64_t i = blockIdx.x * 256ll + threadIdx.x;
  if (i < count) probs[i] = -INFINITY;
}

int pack_of(const WnAttentionAnyParams& p) {
  return p.list == WN_LIST_QUERY_HEAD ? 1 : p.num_query_heads / p.num_kv_heads;
}
/// From shapes and strides alone, so that a captured graph fits every length.
int num_splits(const WnAttentionAnyParams& p) {
  if (p.query_len * pack_of(p) > kMaxSplitQueries) return 1;
  int64_t tiles = p.page_table_stride;
  if (p.list != WN_LIST_NONE) {
    const int64_t listed = static_cast<int64_t>(p.index_stride) * (p.page_size > 0 ? p.page_size : 1) + p.query_len;
    tiles = listed > tiles * 64 ? ceil_div(listed, 64) : tiles;
  }
  const int64_t splits = ceil_div(tiles, kMinSplitTiles);
  return static_cast<int>(splits < 1 ? 1 : splits > kMaxSplits ? kMaxSplits : splits);
}

template <int kDim, bool kFew>
WnStatus launch(const AnyArgs& a, dim3 grid, cudaStream_t stream) {
  constexpr int kShared = ((kFew ? 16 : 64) + 2 * kAnyKeys) * kDim * 2;
  const auto kernel = attention_any_kernel<kDim, kFew>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  if (error != cudaSuccess) return cuda_status(error, "attention_any: shared memory");
  kernel<<<grid, kAnyThreads, kShared, stream>>>(a);
  return launch_status("attention_any");
}
template <bool kFew>
WnStatus dispatch(const AnyArgs& a, dim3 grid, cudaStream_t stream) {
  if (a.p.head_dim <= 64) return launch<64, kFew>(a, grid, stream);
  if (a.p.head_dim <= 128) return launch<128, kFew>(a, grid, stream);
  return launch<256, kFew>(a, grid, stream);
}

WnStatus check(const WnAttentionAnyParams& p) {
  WN_REQUIRE(p.head_dim > 0 && p.head_dim <= 256 && p.head_dim % 16 == 0,
             "attention_any: head_dim not a multiple of 16 up to 256");
  WN_REQUIRE(p.rows > 0 && p.query_len > 0 && p.num_kv_heads > 0 && p.num_query_heads > 0 &&
                 p.num_query_heads % p.num_kv_heads == 0, "attention_any: counts of rows, queries or heads");
  WN_REQUIRE(static_cast<int64_t>(p.rows) * p.num_query_heads <= 65535, "attention_any: above 65535 rows x query heads");
  WN_REQUIRE(p.softmax_scale > 0 && p.soft_cap >= 0, "attention_any: softmax_scale or soft_cap");
  WN_REQUIRE(p.q && p.out && p.pages && p.page_table && p.kv_lens && p.page_table_stride > 0,
             "attention_any: a required pointer is null");
  WN_REQUIRE(aligned(p.q, 16) && aligned(p.out, 16) && aligned(p.pages, 16), "attention_any: misaligned pointer");
  WN_REQUIRE(p.list >= WN_LIST_NONE && p.list <= WN_LIST_QUERY_HEAD && p.page_size >= 0, "attention_any: unknown list");
  WN_REQUIRE(p.list == WN_LIST_NONE || (p.indices && p.index_lens && p.index_stride > 0), "attention_any: the list is null");
  WN_REQUIRE(p.visible >= WN_SEE_CAUSAL && p.visible <= WN_SEE_TREE, "attention_any: unknown visible");
  WN_REQUIRE(p.visible != WN_SEE_TREE || (p.parents && p.query_len <= WN_MAX_TREE),
             "attention_any: a tree without parents or of more than 64 queries");
  WN_REQUIRE(p.sliding_window >= 0 && (p.sliding_window == 0 || p.positions), "attention_any: sliding_window without positions");
  WN_REQUIRE(!p.probs || (p.query_len == 1 && p.max_slots > 0), "attention_any: probs with more than one query");
  WN_REQUIRE((static_cast<int64_t>(p.query_len) * pack_of(p) + 63) / 64 <= 65535, "attention_any: too many queries");
  return ok();
}

/// Whether the kernel for long runs of queries serves: it has one block walk all keys, which must then be many blocks.
bool is_long_run(const WnAttentionAnyParams& p) {
  if (p.list != WN_LIST_NONE || p.visible == WN_SEE_TREE || p.log_bias || p.probs) return false;
  return p.variant == 1 || (p.variant == 0 && static_cast<int64_t>(p.query_len) * pack_of(p) > kMaxSplitQueries);
}
int64_t reach_bytes(const WnAttentionAnyParams& p) {
  return p.sliding_window > 0 ? static_cast<int64_t>(p.rows) * p.num_kv_heads * p.page_table_stride * sizeof(PageReach) : 0;
}
WnStatus long_run(const WnAttentionAnyParams& p, void* stream) {
  PrefillPortableArgs a{};
  a.q = p.q;
  a.k = p.pages;
  a.v = static_cast<const __nv_bfloat16*>(p.pages) + WN_PAGE_SIZE * p.head_dim;
  a.page_table = p.page_table;
  a.kv_lens = p.kv_lens;
  a.windows = p.windows;
  a.positions = p.positions;
  a.reach = static_cast<PageReach*>(p.workspace);
  a.out = p.out;
  a.lse = p.lse;
  a.token_stride = p.head_dim;
  a.block_stride = 2 * WN_PAGE_SIZE * p.head_dim;
  a.lse_token_stride = p.num_query_heads;
  a.lse_head_stride = 1;
  a.rows = p.rows;
  a.query_len = p.query_len;
  a.num_query_heads = p.num_query_heads;
  a.num_kv_heads = p.num_kv_heads;
  a.head_dim = p.head_dim;
  a.pack = pack_of(p);
  a.page_table_stride = p.page_table_stride;
  a.q_offset = -1;
  a.sliding_window = p.sliding_window;
  a.sees_all = p.visible == WN_SEE_ALL;
  a.softmax_scale = p.softmax_scale;
  a.soft_cap = p.soft_cap;
  return prefill_portable(a, stream);
}

int64_t part_rows(const WnAttentionAnyParams& p) { return static_cast<int64_t>(p.rows) * p.query_len * p.num_query_heads; }

}  // namespace
}  // namespace winnow

int64_t wn_attention_any_workspace_bytes(const WnAttentionAnyParams* p) {
  using namespace winnow;
  if (!p || p->num_kv_heads <= 0 || p->rows <= 0) return 0;
  if (is_long_run(*p)) return reach_bytes(*p);
  const int64_t splits = num_splits(*p), own_lse = p->probs ? part_rows(*p) : 0;
  return ((splits > 1 ? splits * (p->head_dim + 1) * part_rows(*p) : 0) + own_lse) * 4;
}

WnStatus wn_attention_any(const WnAttentionAnyParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "attention_any: params is null");
  const WnAttentionAnyParams& p = *params;
  const WnStatus valid = check(p);
  if (valid.code) return valid;
  const int64_t bytes = wn_attention_any_workspace_bytes(&p), rows = part_rows(p);
  WN_REQUIRE(bytes == 0 || (p.workspace && aligned(p.workspace, 16) && p.workspace_bytes >= bytes),
             "attention_any: workspace null, misaligned or too small");
  if (is_long_run(p)) return long_run(p, stream);
  const int splits = num_splits(p);
  auto* scratch = static_cast<float*>(p.workspace);
  float* lse = p.lse || !p.probs ? p.lse : scratch + (splits > 1 ? splits * (p.head_dim + 1) * rows : 0);
  AnyArgs a{p, nullptr, lse, pack_of(p)};
  if (splits > 1) {
    a.part_out = scratch;
    a.part_lse = scratch + splits * rows * p.head_dim;
  }
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  if (p.probs) {
    const int64_t count = rows * p.max_slots;
    clear_probs_kernel<<<static_cast<unsigned>(ceil_div(count, 256)), 256, 0, cuda_stream>>>(p.probs, count);
    const WnStatus status = launch_status("attention_any: clear");
    if (status.code) return status;
  }
  const int packed = p.query_len * a.pack;
  const bool few = packed <= 16;
  const dim3 grid(splits, few ? 1 : ceil_div(packed, 64), p.rows * (p.num_query_heads / a.pack));
  WnStatus status = few ? dispatch<true>(a, grid, cuda_stream) : dispatch<false>(a, grid, cuda_stream);
  if (status.code) return status;
  if (splits > 1) {
    status = launch_lse_merge({a.part_out, a.part_lse, p.out, lse, splits, static_cast<int32_t>(rows), p.head_dim}, cuda_stream);
    if (status.code) return status;
  }
  if (!p.probs) return status;
  const dim3 probs_grid(static_cast<unsigned>(ceil_div(p.max_slots, 256)), static_cast<unsigned>(rows));
  finish_probs_kernel<<<probs_grid, 256, 0, cuda_stream>>>(a, lse);
  return launch_status("attention_any: probs");
}
