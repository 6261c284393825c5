#include "winnow_cuda/attend_sets.h"

#include "attention_any.cuh"
#include "key_plan.cuh"
#include "lse_merge.cuh"
#include "numbered_keys.cuh"

namespace winnow {
namespace {

/// There are at most 64 splits, of at least so many slots: which slots go to one depends on shapes alone.
constexpr int kMaxSplits = 64, kMinSplitSlots = 128;

struct SetsArgs {
  KeySetsArgs sets;
  WnAttentionAnyParams any;  ///< what a warp's products need of it
  float* part_out;
  float* part_lse;
  int32_t split_slots;
};

/// Turns channel pair i of a row of a tile from one position to another; from < 0: it was never rotated.
template <int kPieces>
WN_DEVICE void turn_pair(char* tile, int row, int i, const WnAttendSetsParams& p, int from, int to) {
  if (from == to) return;
  const int half = p.rope_dims / 2;
  const float* target = p.cos_sin + static_cast<int64_t>(to) * p.rope_dims;
  float re = target[i], im = target[half + i];
  if (from >= 0) {
    const float* source = p.cos_sin + static_cast<int64_t>(from) * p.rope_dims;
    const float c = source[i], s = source[half + i], norm = c * c + s * s, turned = (re * c + im * s) / norm;
    im = (im * c - re * s) / norm;
    re = turned;
  }
  auto element = [&](int d) { return reinterpret_cast<__nv_bfloat16*>(tile + piece_byte<kPieces>(row, d / 8) + 2 * (d % 8)); };
  __nv_bfloat16 *x = element(i), *y = element(half + i);
  const float a = __bfloat162float(*x), b = __bfloat162float(*y);
  *x = __float2bfloat16(a * re - b * im);
  *y = __float2bfloat16(b * re + a * im);
}

/// The queries of a block, packed by token and head, and the slots that it looks through.
struct BlockShare {
  int first_packed, packed, first_token, last_token, begin_slot, end_slot;
};

/// Bias by slot of a place's heads.
WN_DEVICE const float* bias_of(const KeySetsArgs& a, const KeyPlace& at) {
  const WnAttendSetsParams& p = a.p;
  const int64_t head = p.bias_heads == 1 ? 0 : p.bias_heads == p.cache.num_kv_heads ? at.kv_head : at.head;
  const int64_t line = at.row * static_cast<int64_t>(p.bias_heads) + head;
  if (a.bias_by_slot >= 0) return reinterpret_cast<const float*>(a.words + a.bias_by_slot) + line * p.max_slots;
  return p.bias + line * p.bias_width;
}

/// The same, unknown to the compiler: what is computed from it is not kept in registers across tiles.
WN_DEVICE uint32_t forgotten(uint32_t x) {
  asm volatile("" : "+r"(x));
  return x;
}

/// Which keys a pass over the slots reads, and where they are turned to.
enum class Pass { kAsCached, kOwnPlace, kCompact, kFar };

/// One block: kRows packed queries of a row and head group, one split of the slots. Few: the four warps share sixteen queries
/// and take a quarter of each tile; else each has sixteen of its own and all keys.
template <int kDim, bool kFew>
__global__ void __launch_bounds__(kAnyThreads, kDim <= 128 ? 2 : 1) attend_sets_kernel(const __grid_constant__ SetsArgs a) {
  constexpr int kRows = kFew ? 16 : 64, kColumns = kFew ? 16 : 64, kPieces = kDim / 8;
  using Warp = AnyWarp<kDim, kColumns>;
  const WnAttendSetsParams& p = a.sets.p;
  extern __shared__ __align__(128) char shared[];
  __shared__ AnyKeys tiles[2];
  __shared__ Numbered numbered;
  __shared__ KeyPlace place;
  __shared__ const float* bias;
  __shared__ BlockShare mine;
  __shared__ uint64_t masks[2][kRows];  ///< of each token of the block: the keys of a tile that it sees
  const int pack = a.sets.pack;
  const uint32_t q_tile = shared_address(shared), k_tile = q_tile + kRows * kDim * 2, v_tile = k_tile + kAnyKeys * kDim * 2;
  char *q_memory = shared, *k_memory = shared + kRows * kDim * 2;
  const int thread = threadIdx.x, warp = thread / 32, pieces = p.cache.head_dim / 8;
  if (thread == 0) {
    place = key_place(a.sets, blockIdx.z);
    bias = bias_of(a.sets, place);
    // The last queries have most keys: they go first.
    mine.first_packed = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows;
    mine.packed = p.query_len * pack;
    mine.first_token = mine.first_packed / pack;
    mine.last_token = min(mine.first_packed + kRows - 1, mine.packed - 1) / pack;
    const KeyReader keys(a.sets, place);
    mine.begin_slot = mine.end_slot = min(static_cast<int>(blockIdx.x) * a.split_slots, keys.n);
    if (keys.active_heads() > 0) mine.end_slot = min(mine.begin_slot + a.split_slots, min(keys.n, keys.end_of(mine.last_token)));
  }
  __syncthreads();
  auto query_row = [&](int packed_row) {
    return (static_cast<int64_t>(place.row) * p.query_len + packed_row / pack) * p.num_query_heads + place.head + packed_row % pack;
  };
  auto note = [&](int flag) { atomicOr(reinterpret_cast<int*>(p.results + 1), flag); };
  /// A position as a row of the table.
  auto table_row = [&](int position) {
    if (position < 0 || position >= p.max_positions) note(WN_SETS_BAD_POSITION);
    return max(0, min(position, static_cast<int>(p.max_positions) - 1));
  };

  Warp state(a.any, q_tile, kFew ? 0 : 16 * warp, kFew ? 16 * warp : 0);
  /// What follows from the thread's number is worked out anew, not kept.
  auto recall = [&] {
    const int own = static_cast<int>(forgotten(threadIdx.x));
    state.lane = own & 31;
    state.g = state.lane / 4;
    state.t = state.lane % 4;
    (kFew ? state.first_column : state.first_row) = own / 32 * 16;
    state.queries = forgotten(q_tile);
  };
#pragma unroll 1
  for (int pass_index = 0; pass_index < (p.positions == WN_POSITIONS_CLAMP ? 2 : 1); pass_index++) {
    const Pass pass = p.positions == WN_POSITIONS_CLAMP && pass_index == 0 ? Pass::kFar
                      : p.positions == WN_POSITIONS_COMPACT                ? Pass::kCompact
                      : !p.keys_rotated                                    ? Pass::kOwnPlace
                                                                           : Pass::kAsCached;
    const bool turns = pass != Pass::kAsCached, needs_position = turns || p.sliding_window > 0 || p.positions == WN_POSITIONS_CLAMP;
    if (pass == Pass::kCompact) {
      const KeyReader keys(a.sets, place);
      const int ahead = count_keys(keys, mine.first_token, mine.last_token, mine.begin_slot, numbered.of_warp);
      const int old = count_keys(keys, mine.first_token, mine.last_token, keys.first_new, numbered.of_warp);
      if (thread == 0) {
        numbered.ahead = ahead;
        numbered.old = old;
      }
    }
    __syncthreads();  // the pass before is done with its queries
#pragma unroll 1
    for (int i = thread; i < kRows * kPieces; i += kAnyThreads) {
      const int r = i / kPieces, piece = i % kPieces;
      const bool valid = mine.first_packed + r < mine.packed && piece < pieces;
      const auto* source = static_cast<const __nv_bfloat16*>(p.q) + (valid ? query_row(mine.first_packed + r) * p.cache.head_dim + 8 * piece : 0);
      async_copy_16(q_tile + piece_byte<kPieces>(r, piece), source, valid);
    }
    async_copy_commit();
    if (pass == Pass::kCompact || pass == Pass::kFar) {
      async_copy_wait<0>();
      __syncthreads();
      const int half = p.rope_dims / 2;
      const KeyReader keys(a.sets, place);
#pragma unroll 1
      for (int i = thread; i < kRows * half; i += kAnyThreads) {
        const int r = i / half, token = min(mine.first_packed + r, mine.packed - 1) / pack;
        const int from = table_row(keys.position(keys.own_slot(token)));
        turn_pair<kPieces>(q_memory, r, i % half, p, from, table_row(pass == Pass::kFar ? p.clamp : numbered.old + token));
      }
    }

#pragma unroll 1
    for (int window = mine.begin_slot; window < mine.end_slot; window += kWindowSlots) {
      const int count = number_keys(KeyReader(a.sets, place), mine.first_token, mine.last_token, window, min(window + kWindowSlots, mine.end_slot), numbered);
      const int num_tiles = ceil_div(count, kAnyKeys);
      /// Looks up the keys of a tile.
      auto look_up = [&](int tile) {
        if (thread >= kAnyKeys) return;
        const int i = tile * kAnyKeys + thread, slot = i < count ? window + numbered_slot(numbered, i) : -1;
        const int arena = slot < 0 ? -1 : KeyReader(a.sets, place).arena(slot);
        AnyKeys& target = tiles[tile & 1];
        target.slot[thread] = arena < 0 ? -1 : slot;
        target.arena[thread] = arena;
        if (needs_position) target.position[thread] = arena < 0 ? 0 : p.cache.positions[arena];
        float x = arena < 0 || !p.cache.log_bias ? 0 : p.cache.log_bias[arena];
        if (p.bias && arena >= 0 && slot < (a.sets.bias_by_slot >= 0 ? p.max_slots : p.bias_width)) x += bias[slot];
        target.bias[thread] = x * kLog2e;
      };
      /// What each token sees of them, eight keys a time; whether all that this thread asked is seen.
      auto look_through = [&](int tile) {
        const AnyKeys& of = tiles[tile & 1];
        const KeyReader keys(a.sets, place);
        bool all = true;
#pragma unroll 1
        for (int job = thread; job < (mine.last_token - mine.first_token + 1) * 8; job += kAnyThreads) {
          const int token = mine.first_token + job / 8;
          const int place = needs_position ? keys.position(keys.own_slot(token)) : 0;
          int word_at = -1;
          uint32_t word = 0, seen = 0, prefix = 0;
#pragma unroll 1
          for (int j = 0; j < 8; j++) {
            const int e = job % 8 * 8 + j, slot = of.slot[e];
            if (slot < 0) continue;
            if (slot / 32 != word_at) {
              word_at = slot / 32;
              word = keys.word(token, word_at * 32);
            }
            bool yes = word >> (slot % 32) & 1;
            if (slot < keys.end_of(token) && keys.attends(token)) prefix |= 1u << j;
            if (pass == Pass::kCompact && yes != (prefix >> j & 1)) note(WN_SETS_UNEVEN);
            if (p.sliding_window > 0 && p.visible != WN_VISIBLE_EVERY) yes = yes && of.position[e] > place - p.sliding_window;
            if (p.positions == WN_POSITIONS_CLAMP) yes = yes && (place - of.position[e] > p.clamp) == (pass == Pass::kFar);
            seen |= static_cast<uint32_t>(yes) << j;
          }
          reinterpret_cast<uint8_t*>(masks[tile & 1])[job] = static_cast<uint8_t>(seen);
          all = all && seen == 0xff;
        }
        return all;
      };
      auto fetch = [&](uint32_t target, int tile, int is_value) {
#pragma unroll 4
        for (int i = static_cast<int>(forgotten(threadIdx.x)); i < kAnyKeys * kPieces; i += kAnyThreads) {
          const int key = i / kPieces, piece = i % kPieces;
          if (piece >= pieces) continue;
          const int arena = tiles[tile & 1].arena[key];
          const int64_t row = arena < 0 ? 0 : static_cast<int64_t>(arena / 64) * 128 + arena % 64 + 64 * is_value;
          async_copy_16(target + piece_byte<kPieces>(key, piece),
                        static_cast<const __nv_bfloat16*>(p.cache.pages) + row * p.cache.head_dim + 8 * piece, arena >= 0);
        }
        async_copy_commit();
      };
      auto turn_keys = [&](int tile) {
        const int half = p.rope_dims / 2;
        const AnyKeys& of = tiles[tile & 1];
#pragma unroll 1
        for (int i = thread; i < kAnyKeys * half; i += kAnyThreads) {
          const int key = i / half;
          if (of.arena[key] < 0) continue;
          const int place = table_row(of.position[key]);
          const int to = pass == Pass::kCompact ? table_row(numbered.ahead + tile * kAnyKeys + key) : pass == Pass::kFar ? 0 : place;
          turn_pair<kPieces>(k_memory, key, i % half, p, p.keys_rotated ? place : -1, to);
        }
      };

      bool sees_all = true;
      if (num_tiles > 0) {
        look_up(0);
        __syncthreads();
        fetch(k_tile, 0, 0);
        sees_all = look_through(0);
      }
#pragma unroll 1
      for (int tile = 0; tile < num_tiles; tile++) {
        async_copy_wait<0>();
        // Keys and masks are here; the values of the tile before are done with.
        const bool plain = __syncthreads_and(sees_all);
        fetch(forgotten(v_tile), tile, 1);
        if (turns) {
          turn_keys(tile);
          __syncthreads();
        }
        if (tile + 1 < num_tiles) look_up(tile + 1);
        float s[Warp::kScores][4];
        recall();
        state.scores(forgotten(k_tile), s);
        state.finish_scores(tiles[tile & 1], true, s, {nullptr, nullptr});
        if (!plain) {
#pragma unroll
          for (int i = 0; i < 2; i++) {
            const int packed_row = min(mine.first_packed + state.first_row + state.g + 8 * i, mine.packed - 1);
            const uint64_t mask = masks[tile & 1][packed_row / pack - mine.first_token] >> (state.first_column + 2 * state.t);
#pragma unroll
            for (int c = 0; c < Warp::kScores; c++)
#pragma unroll
              for (int r = 0; r < 2; r++)
                if (!(mask >> (8 * c + r) & 1)) s[c][2 * i + r] = -INFINITY;
          }
        }
        state.weigh(s);
        async_copy_wait<0>();
        __syncthreads();  // values are here, keys are done with
        if (tile + 1 < num_tiles) {
          fetch(forgotten(k_tile), tile + 1, 0);
          sees_all = look_through(tile + 1);
        }
        recall();
        state.add_values(forgotten(v_tile), s);
      }
      __syncthreads();  // the next window numbers its keys anew
      if (thread == 0) numbered.ahead += count;
    }
    async_copy_wait<0>();
  }
  __syncthreads();
  recall();
  state.join_sums();

  const int64_t rows = static_cast<int64_t>(p.cache.rows) * p.query_len * p.num_query_heads;
  const bool has_part = mine.begin_slot < mine.end_slot;
  auto store = [&](int64_t row, int column, float x) {
    if (a.part_out) {
      if (has_part) a.part_out[(blockIdx.x * rows + row) * p.cache.head_dim + column] = x;
    } else if (p.out_f32) {
      static_cast<float*>(p.out)[row * p.cache.head_dim + column] = x;
    } else {
      static_cast<__nv_bfloat16*>(p.out)[row * p.cache.head_dim + column] = __float2bfloat16(x);
    }
  };
  auto finish = [&](int64_t row, float maximum, float sum) {
    const float lse = sum > 0 ? maximum * kLn2 + logf(sum) : -INFINITY;
    if (a.part_out) {
      a.part_lse[blockIdx.x * rows + row] = lse;
    } else if (p.lse) {
      p.lse[row] = lse;
    }
  };
  /// Heads that do not attend shared the tiles of those that do.
  auto counted = [&](int64_t row, float sum) {
    return KeyReader(a.sets, place).attends_head(static_cast<int>(row % p.num_query_heads)) ? sum : 0;
  };
  if constexpr (!kFew) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int packed_row = mine.first_packed + state.first_row + state.g + 8 * i;
      if (packed_row >= mine.packed) continue;
      const int64_t row = query_row(packed_row);
      const float sum = counted(row, state.sum[i]), inverse = sum > 0 ? 1 / sum : 0;
#pragma unroll
      for (int c = 0; c < kDim / 8; c++) {
        if (8 * c >= p.cache.head_dim) break;
        const int column = 8 * c + 2 * state.t;
        store(row, column, state.out[c][2 * i] * inverse);
        store(row, column + 1, state.out[c][2 * i + 1] * inverse);
      }
      if (state.t == 0) finish(row, state.maximum[i], sum);
    }
  } else {
    __shared__ float maxima[4][16], sums[4][16];
    __syncthreads();  // keys and values are done with: their place holds the warps' results
    auto* outs = reinterpret_cast<float*>(k_memory);  // [4][16][kDim]
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
      if (mine.first_packed + r >= mine.packed || column >= p.cache.head_dim) continue;
      float best = -INFINITY, sum = 0, value = 0;
#pragma unroll
      for (int w = 0; w < 4; w++) best = fmaxf(best, maxima[w][r]);
#pragma unroll
      for (int w = 0; w < 4; w++) {
        const float weight = exp2_fast(maxima[w][r] - (best == -INFINITY ? 0 : best));
        sum += weight * sums[w][r];
        value += weight * outs[(w * 16 + r) * kDim + column];
      }
      const int64_t row = query_row(mine.first_packed + r);
      sum = counted(row, sum);
      store(row, column, sum > 0 ? value / sum : 0);
      if (column == 0) finish(row, best, sum);
    }
  }
}

/// From shapes and strides alone, so that what goes to a split does not depend on lengths.
int num_splits(const WnAttendSetsParams& p, int pack) {
  if (static_cast<int64_t>(p.query_len) * pack > kMaxSplitQueries) return 1;
  const int64_t splits = ceil_div(static_cast<int64_t>(p.cache.page_table_stride) * WN_PAGE_SIZE, kMinSplitSlots);
  return static_cast<int>(splits < 1 ? 1 : splits > kMaxSplits ? kMaxSplits : splits);
}

template <int kDim, bool kFew>
WnStatus launch(const SetsArgs& a, dim3 grid, cudaStream_t stream) {
  constexpr int kShared = ((kFew ? 16 : 64) + 2 * kAnyKeys) * kDim * 2;
  const auto kernel = attend_sets_kernel<kDim, kFew>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  if (error != cudaSuccess) return cuda_status(error, "attend_sets: shared memory");
  kernel<<<grid, kAnyThreads, kShared, stream>>>(a);
  return launch_status("attend_sets");
}
template <bool kFew>
WnStatus dispatch(const SetsArgs& a, dim3 grid, cudaStream_t stream) {
  if (a.any.head_dim <= 64) return launch<64, kFew>(a, grid, stream);
  if (a.any.head_dim <= 128) return launch<128, kFew>(a, grid, stream);
  return launch<256, kFew>(a, grid, stream);
}

WnStatus check_lists(const WnAttendSetsParams& p, const WnKeyLists& lists, int blocks) {
  WN_REQUIRE(lists.values && lists.lens && lists.max_len > 0, "attend_sets: a list is null or has no room");
  WN_REQUIRE(lists.per_row == 1 || lists.per_row == p.cache.num_kv_heads || lists.per_row == p.num_query_heads,
             "attend_sets: lists by row, KV head or query head");
  WN_REQUIRE(lists.blocks == blocks, "attend_sets: one list for each query block");
  return ok();
}

WnStatus check(const WnAttendSetsParams& p) {
  WN_REQUIRE(p.cache.head_dim > 0 && p.cache.head_dim <= 256 && p.cache.head_dim % 16 == 0,
             "attend_sets: head_dim not a multiple of 16 up to 256");
  WN_REQUIRE(p.cache.rows > 0 && p.query_len > 0 && p.cache.num_kv_heads > 0 && p.num_query_heads > 0 &&
                 p.num_query_heads <= WN_MAX_SETS_HEADS && p.num_query_heads % p.cache.num_kv_heads == 0,
             "attend_sets: counts of rows, queries or heads");
  WN_REQUIRE(static_cast<int64_t>(p.cache.rows) * p.num_query_heads <= 65535, "attend_sets: above 65535 rows x query heads");
  WN_REQUIRE(p.softmax_scale > 0 && p.soft_cap >= 0, "attend_sets: softmax_scale or soft_cap");
  WN_REQUIRE(p.q && p.out && p.results && p.cache.pages && p.cache.page_table && p.cache.kv_lens && p.cache.page_table_stride > 0,
             "attend_sets: a required pointer is null");
  WN_REQUIRE(aligned(p.q, 16) && aligned(p.out, 16) && aligned(p.cache.pages, 16), "attend_sets: misaligned pointer");
  WN_REQUIRE(p.num_sets >= 1 && p.num_sets <= WN_MAX_KEY_SETS, "attend_sets: one to eight sets");
  for (int i = 0; i < p.num_sets; i++) {
    const WnKeySet& set = p.sets[i];
    WN_REQUIRE(set.kind >= WN_SET_ALL && set.kind <= WN_SET_VERTICAL_SLASH, "attend_sets: unknown kind of set");
    WN_REQUIRE(set.sink >= 0 && set.recent >= 0 && set.query_block >= 0, "attend_sets: a negative window or query block");
    WN_REQUIRE(set.kind != WN_SET_PAGES || set.page_size > 0, "attend_sets: pages without a size");
    if (set.kind < WN_SET_SLOTS) continue;
    WnStatus status = check_lists(p, set.lists, set.query_block ? ceil_div(p.query_len, set.query_block) : 1);
    if (!status.code && set.kind == WN_SET_VERTICAL_SLASH) status = check_lists(p, set.diagonals, 1);
    if (status.code) return status;
  }
  if (p.queries.values) {
    const WnStatus status = check_lists(p, p.queries, 1);
    if (status.code) return status;
  }
  WN_REQUIRE(p.visible >= WN_VISIBLE_CAUSAL && p.visible <= WN_VISIBLE_EVERY, "attend_sets: unknown visible");
  WN_REQUIRE(p.visible != WN_VISIBLE_TREE || p.parents, "attend_sets: a tree without parents");
  WN_REQUIRE(p.visible != WN_VISIBLE_SEGMENTS || (p.segments && p.num_segments > 0), "attend_sets: segments are null");
  const bool turns = p.positions != WN_POSITIONS_KEEP || !p.keys_rotated;
  WN_REQUIRE(p.positions >= WN_POSITIONS_KEEP && p.positions <= WN_POSITIONS_CLAMP && p.clamp >= 0, "attend_sets: unknown positions");
  WN_REQUIRE(!turns || (p.cos_sin && p.max_positions > 0 && p.rope_dims >= 2 && p.rope_dims % 2 == 0 && p.rope_dims <= p.cache.head_dim),
             "attend_sets: rotating needs a rotary table of an even width up to head_dim");
  WN_REQUIRE(!turns || (p.visible != WN_VISIBLE_TREE && p.visible != WN_VISIBLE_EVERY),
             "attend_sets: rotating where queries have no place of their own");
  WN_REQUIRE(p.sliding_window >= 0 && (p.cache.positions || (p.sliding_window == 0 && !turns && p.visible != WN_VISIBLE_SEGMENTS)),
             "attend_sets: positions are null");
  WN_REQUIRE(!p.bias || (p.bias_width > 0 && (p.bias_heads == 1 || p.bias_heads == p.cache.num_kv_heads || p.bias_heads == p.num_query_heads)),
             "attend_sets: bias by row, KV head or query head");
  WN_REQUIRE(!p.bias || !p.bias_by_entry || (p.num_sets == 1 && p.sets[0].kind == WN_SET_SLOTS && p.sets[0].lists.blocks == 1 &&
                                             p.sets[0].lists.per_row == p.bias_heads && p.sets[0].lists.max_len == p.bias_width),
             "attend_sets: a bias by entry needs one set of listed slots");
  WN_REQUIRE(!p.seen || p.seen_width >= p.max_slots, "attend_sets: seen is too narrow");
  WN_REQUIRE(p.max_slots > 0 && p.max_slots <= static_cast<int64_t>(p.cache.page_table_stride) * WN_PAGE_SIZE,
             "attend_sets: max_slots beyond the page tables");
  return ok();
}

int64_t all_rows(const WnAttendSetsParams& p) { return static_cast<int64_t>(p.cache.rows) * p.query_len * p.num_query_heads; }
int64_t part_floats(const WnAttendSetsParams& p, int splits) { return splits > 1 ? splits * all_rows(p) * (p.cache.head_dim + 1) : 0; }

}  // namespace
}  // namespace winnow

int64_t wn_attend_sets_workspace_bytes(const WnAttendSetsParams* p) {
  using namespace winnow;
  if (!p || p->cache.rows <= 0 || p->query_len <= 0 || p->cache.num_kv_heads <= 0 || p->num_query_heads < p->cache.num_kv_heads ||
      p->num_sets < 0 || p->num_sets > WN_MAX_KEY_SETS)
    return 0;
  KeySetsArgs sets{};
  if (!plan_key_sets(*p, &sets)) return 0;
  if (sets.is_planned) return (sets.num_words + lay_out_plan(sets, nullptr).words) * 4;
  return (sets.num_words + part_floats(*p, num_splits(*p, sets.pack))) * 4;
}

WnStatus wn_attend_sets(const WnAttendSetsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "attend_sets: params is null");
  const WnAttendSetsParams& p = *params;
  WnStatus status = check(p);
  if (status.code) return status;
  SetsArgs a{};
  if (!plan_key_sets(p, &a.sets)) return make_status(WN_UNSUPPORTED, "attend_sets: sets of more than three query blocks");
  const int splits = num_splits(p, a.sets.pack);
  const int64_t bytes = wn_attend_sets_workspace_bytes(&p), rows = all_rows(p);
  WN_REQUIRE(bytes == 0 || (p.workspace && aligned(p.workspace, 16) && p.workspace_bytes >= bytes),
             "attend_sets: workspace null, misaligned or too small");
  a.sets.words = static_cast<uint32_t*>(p.workspace);
  a.any.head_dim = p.cache.head_dim;
  a.any.softmax_scale = p.softmax_scale;
  a.any.soft_cap = p.soft_cap;
  // Says only that keys have biases: those of a tile are looked up with its slots.
  a.any.log_bias = p.cache.log_bias ? p.cache.log_bias : p.bias;
  if (splits > 1) {
    a.part_out = reinterpret_cast<float*>(a.sets.words + a.sets.num_words);
    a.part_lse = a.part_out + splits * rows * p.cache.head_dim;
  }
  const int64_t slots = static_cast<int64_t>(p.cache.page_table_stride) * WN_PAGE_SIZE;
  a.split_slots = static_cast<int32_t>(ceil_div(ceil_div(slots, splits), 64) * 64);
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  status = launch_key_sets(a.sets, cuda_stream);
  if (status.code) return status;
  if (a.sets.is_planned) {
    const KeyPlan plan = lay_out_plan(a.sets, a.sets.words + a.sets.num_words);
    status = launch_key_plan(a.sets, plan, cuda_stream);
    return status.code || p.variant == 2 ? status : attend_plan(a.sets, plan, cuda_stream);
  }
  const int64_t packed = static_cast<int64_t>(p.query_len) * a.sets.pack;
  const bool few = packed <= 16;
  WN_REQUIRE(packed <= 64ll * 65535, "attend_sets: too many queries");
  const dim3 grid(splits, few ? 1 : static_cast<unsigned>(ceil_div(packed, 64)), p.cache.rows * (p.num_query_heads / a.sets.pack));
  status = few ? dispatch<true>(a, grid, cuda_stream) : dispatch<false>(a, grid, cuda_stream);
  if (status.code || splits == 1) return status;
  WnLseMergeParams merge{a.part_out, a.part_lse, p.out, p.lse, splits, static_cast<int32_t>(rows), p.cache.head_dim};
  merge.out_f32 = p.out_f32;
  return launch_lse_merge(merge, cuda_stream);
}
