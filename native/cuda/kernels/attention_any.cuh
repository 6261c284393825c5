/// The portable attention: which keys a block of queries visits, and what a warp does with a tile of them.
#ifndef WINNOW_CUDA_ATTENTION_ANY_CUH
#define WINNOW_CUDA_ATTENTION_ANY_CUH

#include "async_copy.cuh"
#include "mma.cuh"
#include "winnow_cuda/attention_any.h"

namespace winnow {

constexpr int kAnyThreads = 128, kAnyKeys = 64;

struct AnyArgs {
  WnAttentionAnyParams p;
  float* part_out;  ///< [splits][rows * query_len * num_query_heads][head_dim]; null where one block sees all keys
  float* part_lse;
  int32_t pack;  ///< query heads that share a list of keys and a block
};

/// What the threads of a block need of each key of a tile; a negative slot is no key.
struct AnyKeys {
  int32_t slot[kAnyKeys], arena[kAnyKeys], position[kAnyKeys];
  float bias[kAnyKeys];
};

/// The keys of a block of packed queries, numbered from 0 without gaps that matter: sinks, then [first, ..) of all slots; or
/// the entries of a list and the new slots behind them.
struct AnyRange {
  const WnAttentionAnyParams& p;
  const int32_t* table;
  const int32_t* entries = nullptr;
  int n, first_new, listed = 0, sinks = 0, first = 0, count = 0;
  int row, kv_head, head;

  WN_DEVICE AnyRange(const AnyArgs& a, int group) : p(a.p) {
    const int groups = p.num_query_heads / a.pack, group_size = p.num_query_heads / p.num_kv_heads;
    row = group / groups;
    head = group % groups * a.pack;
    kv_head = head / group_size;
    const int64_t segment = static_cast<int64_t>(row) * p.num_kv_heads + kv_head;
    table = p.page_table + segment * p.page_table_stride;
    n = p.kv_lens[segment];
    first_new = n - p.query_len;
  }
  /// Chooses the keys for queries [first_token, last_token] of heads head .. head + pack - 1.
  WN_DEVICE void choose(const AnyArgs& a, int first_token, int last_token) {
    const int end = p.visible == WN_SEE_CAUSAL ? first_new + last_token + 1 : n;
    if (p.list != WN_LIST_NONE) {
      const int64_t list = p.list == WN_LIST_ROW       ? row
                           : p.list == WN_LIST_KV_HEAD ? static_cast<int64_t>(row) * p.num_kv_heads + kv_head
                                                       : static_cast<int64_t>(row) * p.num_query_heads + head;
      const int len = p.index_lens[list];
      if (len == 0) return;
      if (len > 0) {
        entries = p.indices + list * p.index_stride;
        listed = p.page_size > 0 ? len * p.page_size : len;
        count = listed + end - first_new;
        return;
      }
    }
    if (p.windows) {
      int sink = 0, recent = 0;
      for (int i = 0; i < a.pack; i++) {
        const int own_sink = p.windows[2 * (head + i)], own_recent = p.windows[2 * (head + i) + 1];
        if (own_sink < 0 || own_recent < 0) sink = n;
        sink = max(sink, own_sink);
        recent = max(recent, own_recent);
      }
      if (sink < n) {
        first = max(0, min(first_new + first_token - recent + 1, end)) / kAnyKeys * kAnyKeys;
        sinks = min(ceil_div(sink, kAnyKeys) * kAnyKeys, first);
      }
    }
    count = sinks + end - first;
  }
  WN_DEVICE int slot(int i) const {
    if (i >= count) return -1;
    if (!entries) return i < sinks ? i : first + i - sinks;
    if (i >= listed) return first_new + i - listed;
    const int s = p.page_size > 0 ? entries[i / p.page_size] * p.page_size + i % p.page_size : entries[i];
    return s < first_new ? s : -1;
  }
  /// Arena slot, negative where the page was given back.
  WN_DEVICE int arena(int s) const {
    const int page = table[s / WN_PAGE_SIZE];
    return page < 0 ? -1 : page * WN_PAGE_SIZE + s % WN_PAGE_SIZE;
  }
  WN_DEVICE int position(int s) const {
    const int at = arena(s);
    return at < 0 ? INT32_MIN : p.positions[at];
  }
};

/// What one packed query sees.
struct AnyQuery {
  int limit = 0;  ///< slots from here on are hidden; 0: no such query
  int sink_end = INT32_MAX, recent_begin = 0, least = INT32_MIN, first_new = 0;
  uint64_t ancestors = 0;

  WN_DEVICE void aim(const AnyRange& range, int token, int query_head) {
    const WnAttentionAnyParams& p = range.p;
    const int own = range.first_new + token;
    first_new = range.first_new;
    limit = p.visible == WN_SEE_CAUSAL ? own + 1 : range.n;
    if (p.visible == WN_SEE_TREE)
      for (int t = token; t >= 0; t = p.parents[static_cast<int64_t>(range.row) * p.query_len + t]) ancestors |= 1ull << t;
    if (p.windows && p.windows[2 * query_head] >= 0 && p.windows[2 * query_head + 1] >= 0) {
      sink_end = p.windows[2 * query_head];
      recent_begin = own - p.windows[2 * query_head + 1] + 1;
    }
    if (p.sliding_window > 0) least = range.position(own) - p.sliding_window;
  }
  WN_DEVICE bool sees(int slot, int position, bool tree, bool slides) const {
    bool yes = slot >= 0 && slot < limit && (slot < sink_end || slot >= recent_begin);
    if (tree && slot >= first_new) yes = yes && (ancestors >> (slot - first_new) & 1);
    if (slides) yes = yes && position > least;
    return yes;
  }
};

/// A warp's sixteen packed queries over kColumns keys of each tile. Row g of registers 0, 1; row g + 8 of 2, 3.
template <int kDim, int kColumns>
struct AnyWarp {
  static constexpr int kPieces = kDim / 8, kScores = kColumns / 8;
  const WnAttentionAnyParams& p;
  int lane, g, t;
  uint32_t queries;  ///< shared address of the first of its rows' block
  int first_row, first_column;
  AnyQuery row[2];
  float out[kDim / 8][4];
  float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};

  WN_DEVICE AnyWarp(const WnAttentionAnyParams& params, uint32_t q, int row_begin, int column_begin)
      : p(params), queries(q), first_row(row_begin), first_column(column_begin) {
    lane = threadIdx.x & 31;
    g = lane / 4;
    t = lane % 4;
#pragma unroll
    for (int i = 0; i < kDim / 8; i++)
#pragma unroll
      for (int r = 0; r < 4; r++) out[i][r] = 0;
  }

  WN_DEVICE void scores(uint32_t keys, float (&s)[kScores][4]) const {
#pragma unroll
    for (int c = 0; c < kScores; c++)
#pragma unroll
      for (int r = 0; r < 4; r++) s[c][r] = 0;
#pragma unroll
    for (int step = 0; step < kDim / 16; step++) {
      if (16 * step >= p.head_dim) break;
      uint32_t a[4];
      load_matrices(a, queries + piece_byte<kPieces>(first_row + (lane & 15), 2 * step + lane / 16));
#pragma unroll
      for (int c = 0; c < kScores; c += 2) {
        uint32_t b[4];
        load_matrices(b, keys + piece_byte<kPieces>(first_column + 8 * c + (lane & 7) + (lane / 16) * 8,
                                                    2 * step + (lane / 8 & 1)));
        mma_16x8x16(s[c], a[0], a[1], a[2], a[3], b[0], b[1]);
        mma_16x8x16(s[c + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
      }
    }
  }

  /// Scale, cap, bias and mask, in log2 units.
  WN_DEVICE void finish_scores(const AnyKeys& keys, bool plain, float (&s)[kScores][4], float* const (&probs)[2]) const {
    const float scale = p.softmax_scale * kLog2e;
    const bool tree = p.visible == WN_SEE_TREE, slides = p.sliding_window > 0;
#pragma unroll
    for (int c = 0; c < kScores; c++)
#pragma unroll
      for (int r = 0; r < 4; r++) {
        float& x = s[c][r];
        const int column = first_column + 8 * c + 2 * t + (r & 1);
        if (p.soft_cap > 0) {
          // tanh(y) = 1 - 2 / (exp(2 y) + 1): absolute error of a few ulp of 1, which the cap scales.
          const float e = exp2_fast(x * scale * (2 / p.soft_cap));
          x = p.soft_cap * kLog2e * (1 - __fdividef(2.0f, e + 1));
          if (isinf(e)) x = p.soft_cap * kLog2e;
        } else {
          x *= scale;
        }
        if (p.log_bias) x += keys.bias[column];
        if (!plain && !row[r / 2].sees(keys.slot[column], keys.position[column], tree, slides)) x = -INFINITY;
        if (probs[r / 2] && keys.slot[column] >= 0) probs[r / 2][keys.slot[column]] = x;
      }
  }

  /// Weights in place of scores; the sums and what was summed so far follow the new maximum.
  WN_DEVICE void weigh(float (&s)[kScores][4]) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float best = maximum[i];
#pragma unroll
      for (int c = 0; c < kScores; c++) best = fmaxf(best, fmaxf(s[c][2 * i], s[c][2 * i + 1]));
      best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
      best = fmaxf(best, __shfl_xor_sync(~0u, best, 2));
      const float shift = best == -INFINITY ? 0 : best, factor = exp2_fast(maximum[i] - shift);
      maximum[i] = best;
      sum[i] *= factor;
#pragma unroll
      for (int c = 0; c < kScores; c++)
#pragma unroll
        for (int r = 2 * i; r < 2 * i + 2; r++) {
          s[c][r] = exp2_fast(s[c][r] - shift);
          sum[i] += s[c][r];
        }
#pragma unroll
      for (int c = 0; c < kDim / 8; c++) {
        out[c][2 * i] *= factor;
        out[c][2 * i + 1] *= factor;
      }
    }
  }

  WN_DEVICE void add_values(uint32_t values, const float (&s)[kScores][4]) {
#pragma unroll
    for (int step = 0; step < kColumns / 16; step++) {
      const uint32_t a0 = pack_bf16(s[2 * step][0], s[2 * step][1]), a1 = pack_bf16(s[2 * step][2], s[2 * step][3]);
      const uint32_t a2 = pack_bf16(s[2 * step + 1][0], s[2 * step + 1][1]);
      const uint32_t a3 = pack_bf16(s[2 * step + 1][2], s[2 * step + 1][3]);
#pragma unroll
      for (int c = 0; c < kDim / 16; c++) {
        if (16 * c >= p.head_dim) break;
        uint32_t b[4];
        load_matrices_transposed(b, values + piece_byte<kPieces>(first_column + 16 * step + (lane & 15), 2 * c + lane / 16));
        mma_16x8x16(out[2 * c], a0, a1, a2, a3, b[0], b[1]);
        mma_16x8x16(out[2 * c + 1], a0, a1, a2, a3, b[2], b[3]);
      }
    }
  }
  WN_DEVICE void join_sums() {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      sum[i] += __shfl_xor_sync(~0u, sum[i], 1);
      sum[i] += __shfl_xor_sync(~0u, sum[i], 2);
    }
  }
};

}  // namespace winnow

#endif
