#include "winnow_cuda/window_scores.h"

#include "mma.cuh"
#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 4;

struct WindowArgs {
  WnWindowScoresParams p;
  float2* parts;   ///< [rows][Hq][window][num_parts] of (largest logit, sum of exponentials), base 2
  float* lse;      ///< [rows][Hq][window], base 2
  float* weights;  ///< [rows][Hq][max_len]
  int num_parts;
};

/// Keys of one KV head in the registers of a warp. A lane's 16-byte piece of a row is channels 32 c + 8 t .. + 7; query and
/// key agree on it, so their order inside the product does not matter.
template <int kPieces, bool kPlain>
struct KeyTile {
  /// Fewer keys a warp where a row is long or more is kept of each, so that all stays in registers.
  static constexpr int kColumns = kPieces > 4 || !kPlain ? 2 : 4, kKeys = 8 * kColumns, kKeysPerBlock = kWarps * kKeys;
  uint4 keys[kColumns][kPieces];
  int64_t list;
  int first, len, g, t, row, kv_head;

  WN_DEVICE void load(const WnWindowScoresParams& p) {
    const int lane = threadIdx.x & 31;
    g = lane / 4, t = lane % 4, kv_head = blockIdx.y, row = blockIdx.z;
    list = static_cast<int64_t>(row) * p.cache.num_kv_heads + kv_head;
    len = p.cache.kv_lens[list];
    first = blockIdx.x * kKeysPerBlock + threadIdx.x / 32 * kKeys;
#pragma unroll
    for (int c = 0; c < kColumns; c++) {
      const int slot = first + 8 * c + g;
      const bool is_there = slot < len;
      const __nv_bfloat16* from = arena_row(p.cache, is_there ? arena_slot(p.cache, list, slot) : 0, 0);
#pragma unroll
      for (int piece = 0; piece < kPieces; piece++) {
        const int channel = 32 * piece + 8 * t;
        keys[c][piece] = is_there && channel < p.cache.head_dim ? *reinterpret_cast<const uint4*>(from + channel) : uint4{0, 0, 0, 0};
      }
    }
  }

  /// Products of queries base + g (s[.][0 .. 1]) and base + g + 8 (s[.][2 .. 3]) with keys first + 8 c + 2 t + {0, 1}.
  WN_DEVICE void products(const WnWindowScoresParams& p, int head, int base, float (&s)[kColumns][4]) const {
    const int d = p.cache.head_dim;
    const auto* q = static_cast<const __nv_bfloat16*>(p.q) + (static_cast<int64_t>(row) * p.window * p.num_query_heads + head) * d;
    const int64_t stride = static_cast<int64_t>(p.num_query_heads) * d;
    // Queries beyond the window repeat the last one, and their logits are masked: a condition here would let the compiler
    // split the loop by lanes, and a product needs all lanes of the warp. The barrier keeps it from trying.
    const __nv_bfloat16* row0 = q + min(base + g, p.window - 1) * stride;
    const __nv_bfloat16* row1 = q + min(base + g + 8, p.window - 1) * stride;
    __syncwarp();
#pragma unroll
    for (int piece = 0; piece < kPieces; piece++) {
      // Keys are zero beyond head_dim; the query's last piece stands in there, and counts nothing.
      const int channel = min(32 * piece + 8 * t, d - 8);
      const uint4 a0 = *reinterpret_cast<const uint4*>(row0 + channel), a1 = *reinterpret_cast<const uint4*>(row1 + channel);
#pragma unroll
      for (int c = 0; c < kColumns; c++) {
        mma_16x8x16(s[c], a0.x, a1.x, a0.y, a1.y, keys[c][piece].x, keys[c][piece].y);
        mma_16x8x16(s[c], a0.z, a1.z, a0.w, a1.w, keys[c][piece].z, keys[c][piece].w);
      }
    }
  }

  WN_DEVICE int slot(int c, int i) const { return first + 8 * c + 2 * t + i; }
};

/// What turns a product into a logit in base 2, and who sees whom.
template <int kPieces, bool kPlain>
struct Logits {
  using Tile = KeyTile<kPieces, kPlain>;
  float bias[Tile::kColumns][2];
  int position[Tile::kColumns][2];

  WN_DEVICE void load(const WnWindowScoresParams& p, const Tile& tile) {
    if constexpr (!kPlain)
#pragma unroll
    for (int c = 0; c < Tile::kColumns; c++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const bool is_there = tile.slot(c, i) < tile.len;
        const int64_t at = is_there ? arena_slot(p.cache, tile.list, tile.slot(c, i)) : 0;
        bias[c][i] = p.cache.log_bias && is_there ? p.cache.log_bias[at] * kLog2e : 0.0f;
        position[c][i] = p.sliding_window > 0 && is_there ? p.cache.positions[at] : 0;
      }
  }
  /// Position that query j's keys must exceed.
  WN_DEVICE int least(const WnWindowScoresParams& p, const Tile& tile, int j) const {
    if (kPlain || p.sliding_window == 0 || j >= p.window) return INT32_MIN;
    return p.cache.positions[arena_slot(p.cache, tile.list, tile.len - p.window + j)] - p.sliding_window;
  }
  WN_DEVICE float operator()(const WnWindowScoresParams& p, const Tile& tile, float product, int c, int i, int j, int least) const {
    const int slot = tile.slot(c, i);
    if (j >= p.window || slot > tile.len - p.window + j) return -INFINITY;
    if constexpr (kPlain) {
      return product * (p.softmax_scale * kLog2e);
    } else {
      if (p.sliding_window > 0 && position[c][i] <= least) return -INFINITY;
      const float logit = product * p.softmax_scale;
      return (p.soft_cap > 0 ? p.soft_cap * tanhf(logit / p.soft_cap) : logit) * kLog2e + bias[c][i];
    }
  }
};

/// Pass 1: largest logit and sum of exponentials of every query over the keys of a block.
template <int kPieces, bool kPlain>
__global__ void __launch_bounds__(32 * kWarps, kPieces > 4 ? 2 : 3) window_parts_kernel(const __grid_constant__ WindowArgs args) {
  const WnWindowScoresParams& p = args.p;
  using Tile = KeyTile<kPieces, kPlain>;
  __shared__ float2 shared[2][kWarps][16];
  Tile tile;
  tile.load(p);
  Logits<kPieces, kPlain> logits;
  logits.load(p, tile);
  const int group_size = p.num_query_heads / p.cache.num_kv_heads, warp = threadIdx.x / 32;
  int turn = 0;
  for (int member = 0; member < group_size; member++) {
    const int head = tile.kv_head * group_size + member;
    for (int base = 0; base < p.window; base += 16, turn ^= 1) {
      float s[Tile::kColumns][4] = {};
      tile.products(p, head, base, s);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int j = base + tile.g + 8 * half, least = logits.least(p, tile, j);
        float largest = -INFINITY, sum = 0;
#pragma unroll
        for (int c = 0; c < Tile::kColumns; c++)
#pragma unroll
          for (int i = 0; i < 2; i++) {
            s[c][2 * half + i] = logits(p, tile, s[c][2 * half + i], c, i, j, least);
            largest = fmaxf(largest, s[c][2 * half + i]);
          }
#pragma unroll
        for (int step = 1; step < 4; step *= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
        if (largest > -INFINITY) {
#pragma unroll
          for (int c = 0; c < Tile::kColumns; c++)
#pragma unroll
            for (int i = 0; i < 2; i++) sum += exp2_fast(s[c][2 * half + i] - largest);
        }
#pragma unroll
        for (int step = 1; step < 4; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
        if (tile.t == 0) shared[turn][warp][tile.g + 8 * half] = {largest, sum};
      }
      __syncthreads();
      if (threadIdx.x < 16 && base + threadIdx.x < p.window) {
        float largest = -INFINITY, sum = 0;
#pragma unroll
        for (int w = 0; w < kWarps; w++) largest = fmaxf(largest, shared[turn][w][threadIdx.x].x);
#pragma unroll
        for (int w = 0; w < kWarps; w++)
          if (shared[turn][w][threadIdx.x].y > 0)
            sum += shared[turn][w][threadIdx.x].y * exp2_fast(shared[turn][w][threadIdx.x].x - largest);
        const int64_t query = (static_cast<int64_t>(tile.row) * p.num_query_heads + head) * p.window + base + threadIdx.x;
        args.parts[query * args.num_parts + blockIdx.x] = {largest, sum};
      }
    }
  }
}

/// Joins the parts of a query: a warp per query.
__global__ void __launch_bounds__(256) window_lse_kernel(const __grid_constant__ WindowArgs args) {
  const WnWindowScoresParams& p = args.p;
  const int64_t query = blockIdx.x * 8LL + threadIdx.x / 32;
  if (query >= static_cast<int64_t>(p.cache.rows) * p.num_query_heads * p.window) return;
  const float2* parts = args.parts + query * args.num_parts;
  const int lane = threadIdx.x & 31;
  float largest = -INFINITY, sum = 0;
  for (int i = lane; i < args.num_parts; i += 32) largest = fmaxf(largest, parts[i].x);
  largest = warp_reduce(largest, [](float a, float b) { return fmaxf(a, b); });
  for (int i = lane; i < args.num_parts; i += 32)
    if (parts[i].y > 0) sum += parts[i].y * exp2_fast(parts[i].x - largest);
  sum = warp_sum(sum);
  if (lane == 0) args.lse[query] = sum > 0 ? largest + log2f(sum) : INFINITY;
}

/// Count, mean and sum of squared differences of weights, for the variance; or their sum or maximum.
struct Fold {
  float value = 0, squares = 0, count = 0;
  /// Without branches, as lanes differ in `counts`.
  WN_DEVICE void add(int reduce, float x, bool counts) {
    if (reduce == WN_WINDOW_VARIANCE) {
      count += counts ? 1.0f : 0.0f;
      const float delta = counts ? x - value : 0.0f;
      value += delta / fmaxf(count, 1.0f);
      squares += counts ? delta * (x - value) : 0.0f;
    } else {
      value = reduce == WN_WINDOW_MAX ? fmaxf(value, x) : value + x;
    }
  }
  WN_DEVICE void join(int reduce, int step) {
    const float other = __shfl_xor_sync(~0u, value, step);
    if (reduce == WN_WINDOW_VARIANCE) {
      const float more = __shfl_xor_sync(~0u, count, step), others = __shfl_xor_sync(~0u, squares, step);
      const float all = count + more, delta = other - value;
      if (all > 0) {
        // Symmetric in the two, so that both lanes get the same bits.
        squares = (squares + others) + delta * delta * (count * more / all);
        value = (value * count + other * more) / all;
        count = all;
      }
    } else {
      value = reduce == WN_WINDOW_MAX ? fmaxf(value, other) : value + other;
    }
  }
  WN_DEVICE float result(int reduce, int window) const {
    const auto n = static_cast<float>(window);
    return reduce == WN_WINDOW_MEAN ? value / n : reduce == WN_WINDOW_VARIANCE ? (window > 1 ? squares / (n - 1) : 0.0f) : value;
  }
};

/// Pass 2: weights of every query, reduced over the window, for each query head.
template <int kPieces, bool kPlain>
__global__ void __launch_bounds__(32 * kWarps, kPieces > 4 ? 2 : 3) window_weights_kernel(const __grid_constant__ WindowArgs args) {
  const WnWindowScoresParams& p = args.p;
  using Tile = KeyTile<kPieces, kPlain>;
  Tile tile;
  tile.load(p);
  if (tile.first >= tile.len) return;
  Logits<kPieces, kPlain> logits;
  logits.load(p, tile);
  const int reduce = kPlain ? WN_WINDOW_SUM : p.reduce;
  const int group_size = p.num_query_heads / p.cache.num_kv_heads;
  for (int member = 0; member < group_size; member++) {
    const int head = tile.kv_head * group_size + member;
    const int64_t line = static_cast<int64_t>(tile.row) * p.num_query_heads + head;
    Fold folds[Tile::kColumns][2];
    for (int base = 0; base < p.window; base += 16) {
      float s[Tile::kColumns][4] = {};
      tile.products(p, head, base, s);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int j = base + tile.g + 8 * half;
        const float lse = args.lse[line * p.window + min(j, p.window - 1)];
        const int least = logits.least(p, tile, j);
#pragma unroll
        for (int c = 0; c < Tile::kColumns; c++)
#pragma unroll
          for (int i = 0; i < 2; i++)
            folds[c][i].add(reduce, exp2_fast(logits(p, tile, s[c][2 * half + i], c, i, j, least) - lse), j < p.window);
      }
    }
#pragma unroll
    for (int c = 0; c < Tile::kColumns; c++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int step = 4; step < 32; step *= 2) folds[c][i].join(reduce, step);
        const int slot = tile.slot(c, i);
        if (tile.g == 0 && slot < tile.len)
          args.weights[line * p.max_len + slot] = folds[c][i].result(p.reduce, p.window);
      }
  }
}

/// Pass 3: pool each query head along slots, then reduce over the heads of a list.
__global__ void __launch_bounds__(256) window_pool_kernel(const __grid_constant__ WindowArgs args) {
  const WnWindowScoresParams& p = args.p;
  const int slot = blockIdx.x * 256 + threadIdx.x, list = blockIdx.y, lists = gridDim.y, row = blockIdx.z;
  if (slot >= p.max_len) return;
  const int together = p.num_query_heads / lists, group_size = p.num_query_heads / p.cache.num_kv_heads;
  const int reach = p.pool == WN_POOL_NONE ? 0 : p.pool_width / 2;
  p.scores[(static_cast<int64_t>(row) * lists + list) * p.max_len + slot] =
      reduce_group(p.gqa, list * together, together, [&](int head) {
        const int len = p.cache.kv_lens[static_cast<int64_t>(row) * p.cache.num_kv_heads + head / group_size];
        if (slot >= len) return -INFINITY;
        const float* line = args.weights + (static_cast<int64_t>(row) * p.num_query_heads + head) * p.max_len;
        float sum = 0, best = -INFINITY;
        for (int i = max(slot - reach, 0); i <= min(slot + reach, len - 1); i++) {
          sum += line[i];
          best = fmaxf(best, line[i]);
        }
        return p.pool == WN_POOL_MAX ? best : p.pool == WN_POOL_MEAN ? sum / static_cast<float>(p.pool_width) : sum;
      });
}

template <int kPieces, bool kPlain>
WnStatus launch(WindowArgs args, cudaStream_t stream) {
  const WnWindowScoresParams& p = args.p;
  const dim3 grid(args.num_parts, p.cache.num_kv_heads, p.cache.rows);
  window_parts_kernel<kPieces, kPlain><<<grid, 32 * kWarps, 0, stream>>>(args);
  const int64_t queries = static_cast<int64_t>(p.cache.rows) * p.num_query_heads * p.window;
  window_lse_kernel<<<static_cast<unsigned>(ceil_div(queries, int64_t{8})), 256, 0, stream>>>(args);
  window_weights_kernel<kPieces, kPlain><<<grid, 32 * kWarps, 0, stream>>>(args);
  const int lists = lists_after(p.gqa, p.num_query_heads, p.cache.num_kv_heads);
  window_pool_kernel<<<dim3(ceil_div(p.max_len, 256), lists, p.cache.rows), 256, 0, stream>>>(args);
  return launch_status("window_scores");
}

bool is_plain(const WnWindowScoresParams& p) {
  return p.soft_cap == 0 && p.sliding_window == 0 && !p.cache.log_bias &&
         (p.reduce == WN_WINDOW_MEAN || p.reduce == WN_WINDOW_SUM);
}
template <int kPieces>
WnStatus choose(const WindowArgs& args, cudaStream_t stream) {
  return is_plain(args.p) ? launch<kPieces, true>(args, stream) : launch<kPieces, false>(args, stream);
}

int keys_per_block(const WnWindowScoresParams& p) {
  return is_plain(p) && p.cache.head_dim <= 128 ? KeyTile<4, true>::kKeysPerBlock : KeyTile<8, false>::kKeysPerBlock;
}

/// Places of the arrays in the workspace; returns its size.
int64_t lay_out(const WnWindowScoresParams& p, WindowArgs& args) {
  const int64_t queries = static_cast<int64_t>(p.cache.rows) * p.num_query_heads * p.window;
  args.num_parts = ceil_div(p.max_len, keys_per_block(p));
  args.parts = static_cast<float2*>(p.workspace);
  args.lse = reinterpret_cast<float*>(args.parts + queries * args.num_parts);
  args.weights = args.lse + queries;
  return queries * args.num_parts * 8 + queries * 4 + static_cast<int64_t>(p.cache.rows) * p.num_query_heads * p.max_len * 4;
}

}  // namespace
}  // namespace winnow

int64_t wn_window_scores_workspace_bytes(const WnWindowScoresParams* params) {
  winnow::WindowArgs args{};
  return params ? winnow::lay_out(*params, args) : 0;
}

WnStatus wn_window_scores(const WnWindowScoresParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "window_scores: params is null");
  const WnWindowScoresParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache), "window_scores: cache pointers or sizes");
  WN_REQUIRE(p.num_query_heads > 0 && p.num_query_heads % p.cache.num_kv_heads == 0, "window_scores: head counts");
  WN_REQUIRE(p.window > 0 && p.max_len >= p.window, "window_scores: window not in 1 .. max_len");
  WN_REQUIRE(p.reduce >= WN_WINDOW_MEAN && p.reduce <= WN_WINDOW_VARIANCE, "window_scores: unknown reduction");
  WN_REQUIRE(p.gqa >= WN_GQA_NONE && p.gqa <= WN_GQA_ALL, "window_scores: unknown gqa");
  WN_REQUIRE(p.pool >= WN_POOL_NONE && p.pool <= WN_POOL_MAX, "window_scores: unknown pool");
  WN_REQUIRE(p.pool == WN_POOL_NONE || (p.pool_width % 2 == 1 && p.pool_width > 0), "window_scores: pool_width not odd");
  WN_REQUIRE(p.q && p.scores && aligned(p.q, 16), "window_scores: null or misaligned pointer");
  WN_REQUIRE(p.sliding_window >= 0 && (p.sliding_window == 0 || p.cache.positions), "window_scores: sliding window");
  WN_REQUIRE(p.soft_cap >= 0, "window_scores: soft_cap must not be negative");
  WindowArgs args{p};
  WN_REQUIRE(p.workspace && aligned(p.workspace, 8) && p.workspace_bytes >= lay_out(p, args), "window_scores: workspace");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (ceil_div(p.cache.head_dim, 32)) {
    case 1: return choose<1>(args, cuda_stream);
    case 2: return choose<2>(args, cuda_stream);
    case 3: return choose<3>(args, cuda_stream);
    case 4: return choose<4>(args, cuda_stream);
    default: return choose<8>(args, cuda_stream);
  }
}
