/// Prefill over a plan of key sets: two groups of 64 queries, steps of blocks of 64 keys, each with a mask of its own. What a
/// step computes is prefill_consumer.cuh's.
#ifndef WINNOW_CUDA_PREFILL_UNION_CUH
#define WINNOW_CUDA_PREFILL_UNION_CUH

#include "key_plan.cuh"
#include "prefill_consumer.cuh"

namespace winnow {

struct UnionArgs {
  PrefillArgs rows;   ///< what the consumers' rows go by
  PrefillArgs tiles;  ///< what the order of tiles goes by: in pairs, a query head stands for two
  const uint32_t* codes;
  const int32_t* lens;
  const uint64_t* masks;
  const uint32_t* diagonals;  ///< null: none
  float* out_f32;             ///< null: rows.out
  uint32_t heads[WN_MAX_SETS_HEADS / 32];
  int32_t capacity, halves, pack, packed_blocks;
  int32_t lists, top, diagonal_stride;
};

/// Like PrefillConfig with two groups, overlapped, of boxes of 64 keys; a group's 64 queries lie by themselves.
template <int kHeadDimT, int kBlockT, int kStagesT>
struct PrefillUnionConfig {
  static constexpr int kHeadDim = kHeadDimT, kConsumers = 2, kBlock = kBlockT, kStages = kStagesT;
  static constexpr bool kOverlap = true, kHalves = true, kLists = true, kWindows = true;
  static constexpr int kRows = 64, kThreads = 384, kChunks = kHeadDim / 64, kBlocks = kBlock / 64;
  static constexpr int kProducerRegisters = kHeadDim == 256 ? 40 : 56, kConsumerRegisters = kHeadDim == 256 ? 232 : 224;
  static constexpr int kTileBytes = kBlock * kHeadDim * 2, kQueryBytes = 2 * kRows * kHeadDim * 2;
  static constexpr int kSmallBytes = (4 * 2 + 5 * kStages) * 8 + 1024;
  static constexpr int kQueries = 2 * kQueryBytes + 2 * kStages * kTileBytes + kSmallBytes <= 232448 ? 2 : 1;
  static constexpr int kSharedBytes = kQueries * kQueryBytes + 2 * kStages * kTileBytes + kSmallBytes;
  static_assert(kSharedBytes <= 232448);
  static_assert(128 * (kConsumers * kConsumerRegisters + kProducerRegisters) <= launch_registers(kThreads));
};

/// A tile: which queries of which heads, and its list.
struct UnionTile {
  int token, head, group_step, kv_head, list, len;
  WN_DEVICE UnionTile(const UnionArgs& a, int index) {
    const PrefillTile tile = tile_at(a.tiles, index);
    const bool in_pairs = a.halves == 1;
    token = tile.row_block * 64 * a.halves;
    head = in_pairs ? 2 * tile.query_head : tile.query_head;
    group_step = in_pairs;
    kv_head = head / a.rows.group_size;
    list = head / a.pack * a.tiles.num_row_blocks + tile.row_block;
    len = a.heads[head / 32] >> (head % 32) & 1 ? a.lens[list] : 0;
  }
  /// Of a consumer group.
  WN_DEVICE int first_token(int group) const { return group_step ? token : token + 64 * group; }
  WN_DEVICE int query_head(int group) const { return head + group_step * group; }
};

template <typename C>
WN_DEVICE void load_blocks(const UnionArgs& a, const CUtensorMap* map, const CUtensorMap* packed_map, char* target, uint64_t* full, int2 codes,
                           const UnionTile& tile, bool is_value) {
  barrier_expect(full, C::kTileBytes);
#pragma unroll
  for (int half = 0; half < C::kBlocks; half++) {
    const uint32_t code = half ? codes.y : codes.x;
    const int block = code & kBlockNumber;
    const bool is_packed = code & kBlockPacked;
    const int page = is_packed ? tile.head / a.pack * a.packed_blocks + block : a.rows.page_table[tile.kv_head * a.rows.page_table_stride + block];
    const CUtensorMap* source = is_packed ? packed_map : map;
#pragma unroll
    for (int chunk = 0; chunk < (C::kBlock == 64 ? 1 : C::kChunks); chunk++)
      tma_load_4d(target + chunk * C::kBlock * 128 + half * 8192, source, full, 0, page * 128 + (is_value ? 64 : 0), chunk, 0);
  }
}

template <typename C>
WN_DEVICE void produce_union(const UnionArgs& a, const PrefillShared<C>& sm, const CUtensorMap* q_map, const CUtensorMap* map,
                             const CUtensorMap* packed_map) {
  PrefillSchedule schedule(a.tiles);
  PrefillRings<C> rings;
  for (;;) {
    const int index = schedule.next(), query = rings.query();
    barrier_wait(sm.q_empty + query, rings.query_parity() ^ 1);
    if (index < 0) {
      sm.tiles[query] = {-1, 0};
      barrier_arrive(sm.q_full + query);
      break;
    }
    const UnionTile tile(a, index);
    const int count = ceil_div(tile.len, C::kBlocks);
    sm.tiles[query] = {index, count};
    if (count == 0) {
      barrier_arrive(sm.q_full + query);
      rings.finish(0);
      continue;
    }
    barrier_expect(sm.q_full + query, C::kQueryBytes);
#pragma unroll
    for (int group = 0; group < 2; group++)
      tma_load_4d(sm.q + query * C::kQueryBytes + group * (C::kQueryBytes / 2), q_map, sm.q_full + query, 0, tile.first_token(group), 0,
                  tile.query_head(group));
    const uint32_t* list = a.codes + static_cast<int64_t>(tile.list) * a.capacity;
    // A block that nobody sees fills up the last step: the one before it, read again.
    auto codes_of = [&](int i) {
      const int at = i * C::kBlocks;
      const uint32_t first = list[at];
      const uint32_t second = C::kBlocks == 1 || at + 1 >= tile.len ? (first & (kBlockNumber | kBlockPacked)) | kBlockNothing : list[at + 1];
      return make_int2(static_cast<int>(first), static_cast<int>(second));
    };
    int2 next = codes_of(0);
    int stage = rings.stage(0), parity = rings.parity(0) ^ 1;
#pragma unroll 1
    for (int i = 0; i < count; i++) {
      const int2 codes = next;
      if (i + 1 < count) next = codes_of(i + 1);
      barrier_wait(sm.k_empty + stage, parity);
      sm.columns[stage] = codes;
      load_blocks<C>(a, map, packed_map, sm.k + stage * C::kTileBytes, sm.k_full + stage, codes, tile, false);
      barrier_wait(sm.v_empty + stage, parity);
      load_blocks<C>(a, map, packed_map, sm.v + stage * C::kTileBytes, sm.v_full + stage, codes, tile, true);
      if (++stage == C::kStages) {
        stage = 0;
        parity ^= 1;
      }
    }
    rings.finish(count);
  }
  schedule.end();
}

/// What a thread's two rows see of its columns of a step: 8 columns a byte, of which it has the lowest two.
template <typename C>
struct StepMask {
  uint32_t words[2][C::kBlock / 32];
  bool is_needed = false;
};

template <typename C>
struct UnionConsumer : StepConsumer<C> {
  using Base = StepConsumer<C>;
  using typename Base::Rows;
  using Base::group, Base::kScores, Base::q_address, Base::release, Base::rings, Base::rows, Base::sm;
  const UnionArgs& a;
  int list, diagonal_list;

  WN_DEVICE UnionConsumer(const UnionArgs& args, const PrefillShared<C>& shared, int g) : Base(args.rows, shared, g), a(args) {}

  WN_DEVICE void run() {
    for (;;) {
      barrier_wait(sm.q_full + rings.query(), rings.query_parity());
      const int4 sent = sm.tiles[rings.query()];
      if (sent.x < 0) return;
      const UnionTile tile(a, sent.x);
      begin(tile);
      if (sent.y == 0)
        release(sm.q_empty + rings.query());
      else
        Base::run_overlapped(sent.y, *this);
      if (a.out_f32)
        store_f32(rows.sums(tile.query_head(group)));
      else
        rows.store(tile.query_head(group));
      rings.finish(sent.y);
    }
  }
  WN_DEVICE void begin(const UnionTile& tile) {
    rows.begin(tile.first_token(group));
    q_address = shared_address(sm.q) + rings.query() * C::kQueryBytes + group * (C::kQueryBytes / 2);
    list = tile.list;
    diagonal_list = a.lists == 1 ? 0 : a.lists == a.rows.num_kv_heads ? tile.kv_head : tile.head;
  }

  WN_DEVICE void store_f32(PrefillSums of) const {
#pragma unroll
    for (int step = 1; step <= 2; step *= 2) {
      of.sum0 += __shfl_xor_sync(~0u, of.sum0, step);
      of.sum1 += __shfl_xor_sync(~0u, of.sum1, step);
    }
#pragma unroll
    for (int second = 0; second < 2; second++) {
      const float sum = second ? of.sum1 : of.sum0, inverse = sum > 0 ? 1 / sum : 0;
      const int token = of.row + 8 * second;
      if (token >= a.rows.query_len) continue;
      const int64_t row = static_cast<int64_t>(token) * a.rows.num_query_heads + of.query_head;
      float* target = a.out_f32 + row * C::kHeadDim + 2 * (rows.lane % 4);
#pragma unroll
      for (int i = 0; i < Rows::kOut; i += 4)
        *reinterpret_cast<float2*>(target + 2 * i) = {rows.out[i + 2 * second] * inverse, rows.out[i + 2 * second + 1] * inverse};
      if (a.rows.lse && rows.lane % 4 == 0)
        a.rows.lse[row] = sum > 0 ? (second ? of.max1 : of.max0) * a.rows.scale_log2 * kLn2 + logf(sum) : -INFINITY;
    }
  }

  /// Asked for while the scores are under way.
  WN_DEVICE StepMask<C> look_up(int2 codes, int i) const {
    StepMask<C> mask;
    const int low = rows.first_row + a.rows.q_offset;
    auto cuts = [&](uint32_t code) { return !(code & kBlockPacked) && 64 * static_cast<int>(code & kBlockNumber) + 63 > low; };
    const uint32_t either = codes.x | (C::kBlocks > 1 ? codes.y : 0);
    // At head_dim 256 no registers are left to tell.
    if (C::kHeadDim < 256 && !(either & (kBlockMasked | kBlockNothing)) && !cuts(codes.x) && !(C::kBlocks > 1 && cuts(codes.y))) return mask;
#pragma unroll
    for (int half = 0; half < C::kBlocks; half++) {
      const uint32_t code = half ? codes.y : codes.x;
      const int column = 64 * (code & kBlockNumber);
      const bool is_cut = cuts(code);
      uint64_t named = ~0ull;
      if (code & kBlockMasked) named = a.masks[(static_cast<int64_t>(list) * a.capacity + C::kBlocks * i + half) * a.halves + (a.halves == 1 ? 0 : group)];
      if (code & kBlockNothing) named = 0;
      // Another half's mask may leave this one all of its columns.
      mask.is_needed = mask.is_needed || is_cut || named != ~0ull;
#pragma unroll
      for (int second = 0; second < 2; second++) {
        const int own = min(rows.row + 8 * second + a.rows.q_offset, a.rows.kv_len - 1);
        uint64_t bits = named;
        if (named != ~0ull && (code & kBlockDiagonals)) {
          const int at = a.top - own + column, shift = at & 31;
          const uint32_t* words = a.diagonals + static_cast<int64_t>(diagonal_list) * a.diagonal_stride + 1 + (at >> 5);
          const uint64_t low_word = words[0], middle = words[1], high = words[2];
          bits |= static_cast<uint32_t>((middle << 32 | low_word) >> shift) |
                  static_cast<uint64_t>(static_cast<uint32_t>((high << 32 | middle) >> shift)) << 32;
        }
        if (is_cut) {
          const int seen = own + 1 - column;
          bits = seen <= 0 ? 0 : seen >= 64 ? bits : bits & ~(~0ull << seen);
        }
        const int shift = 2 * (rows.lane % 4);
        mask.words[second][2 * half] = static_cast<uint32_t>(bits) >> shift;
        mask.words[second][2 * half + 1] = static_cast<uint32_t>(bits >> 32) >> shift;
      }
    }
    return mask;
  }
  WN_DEVICE static void apply(float (&s)[kScores], const StepMask<C>& mask) {
    if (!mask.is_needed) return;
#pragma unroll
    for (int i = 0; i < kScores; i++) {
      const int column = 8 * (i / 4) + (i & 1);
      if (!(mask.words[i >> 1 & 1][column / 32] >> (column % 32) & 1)) s[i] = -INFINITY;
    }
  }
};

}  // namespace winnow

#endif
