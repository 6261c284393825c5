/// Prefill: configuration, shared memory, and the thread that fills it.
///
/// Whatever the plan, a tile of query rows is a list of steps of kBlock keys; dense, sink + window, block list and pages
/// differ only in who names the next columns. The consumers learn them from shared memory.
#ifndef WINNOW_CUDA_PREFILL_PRODUCER_CUH
#define WINNOW_CUDA_PREFILL_PRODUCER_CUH

#include "hopper.cuh"

namespace winnow {

/// What the kernel needs beside the tensor maps.
struct PrefillArgs {
  __nv_bfloat16* out;
  float* lse;
  const int32_t* block_row_ptr;
  const int32_t* block_ids;
  const int32_t* page_table;
  int32_t* scheduler;
  int32_t query_len, kv_len, q_offset, num_query_heads, num_kv_heads, group_size;
  int32_t num_row_blocks, section, sink_tokens, window_tokens, page_table_stride;
  int32_t lse_head_stride, lse_row_stride;
  float scale_log2;
};

/// Column of a half block that holds no key: past every length, so that masking removes it.
constexpr int kNoColumn = 1 << 30;

/// What a block of one a multiprocessor is launched with: a multiple of eight registers a thread. Groups can only share out
/// these; a group that asks for more waits for ever.
constexpr int launch_registers(int threads) { return 65536 / threads / 8 * 8 * threads; }

/// kConsumers warp groups of 64 query rows, kBlock keys a step, kStages steps in flight. kOverlap computes the scores of
/// a step while the previous step's values are multiplied. kHalves loads 64-token boxes, so that a step may join any
/// two column blocks or pages; otherwise a step is one box. kLists reads block lists.
template <int kHeadDimT, int kConsumersT, int kBlockT, int kStagesT, bool kOverlapT, bool kHalvesT, bool kListsT = kHalvesT>
struct PrefillConfig {
  static constexpr int kHeadDim = kHeadDimT, kConsumers = kConsumersT, kBlock = kBlockT, kStages = kStagesT;
  static constexpr bool kOverlap = kOverlapT, kHalves = kHalvesT, kLists = kListsT;
  static constexpr bool kWindows = !kLists || kHeadDim == 256;  ///< only the latter serves lists and all else
  static constexpr int kRows = 64 * kConsumers, kThreads = 128 * (kConsumers + 1), kChunks = kHeadDim / 64;
  static constexpr int kProducerRegisters = kConsumers == 3 ? 32 : 40, kConsumerRegisters = kConsumers == 3 ? 160 : 232;
  static constexpr int kTileBytes = kBlock * kHeadDim * 2, kQueryBytes = kRows * kHeadDim * 2;
  /// Two where they fit: the next tile's queries then load while this tile's are in use.
  static constexpr int kSmallBytes = (4 * 2 + 5 * kStages) * 8 + 1024;
  static constexpr int kQueries = 2 * kQueryBytes + 2 * kStages * kTileBytes + kSmallBytes <= 232448 ? 2 : 1;
  static constexpr int kSharedBytes = kQueries * kQueryBytes + 2 * kStages * kTileBytes + kSmallBytes;
  static_assert(kSharedBytes <= 232448 && kBlock % (kHalves ? 64 : 16) == 0);
  static_assert(128 * (kConsumers * kConsumerRegisters + kProducerRegisters) <= launch_registers(kThreads));
};

template <typename C>
struct PrefillShared {
  char *q, *k, *v;
  uint64_t *q_full, *q_empty, *k_full, *v_full, *k_empty, *v_empty;
  int4* tiles;    ///< tile index (-1 ends), steps, first row and query head that go with a query buffer, written by the producer
  int2* columns;  ///< first token of each half of a stage, likewise
  WN_DEVICE explicit PrefillShared(char* raw) {
    q = raw + ((1024 - (shared_address(raw) & 1023)) & 1023);
    k = q + C::kQueries * C::kQueryBytes;
    v = k + C::kStages * C::kTileBytes;
    q_full = reinterpret_cast<uint64_t*>(v + C::kStages * C::kTileBytes);
    q_empty = q_full + C::kQueries;
    k_full = q_empty + C::kQueries;
    v_full = k_full + C::kStages;
    k_empty = v_full + C::kStages;
    v_empty = k_empty + C::kStages;
    tiles = reinterpret_cast<int4*>(v_empty + C::kStages);  // aligned: an even number of barriers lies before
    columns = reinterpret_cast<int2*>(tiles + C::kQueries);
  }
  /// The whole block's: every thread of it may use the barriers when this returns.
  WN_DEVICE void init_barriers() const {
    if (threadIdx.x == 0) {
      for (int i = 0; i < C::kQueries; i++) {
        barrier_init(q_full + i, 1);
        barrier_init(q_empty + i, 128 * C::kConsumers);
      }
      for (int i = 0; i < C::kStages; i++) {
        barrier_init(k_full + i, 1);
        barrier_init(v_full + i, 1);
        barrier_init(k_empty + i, 128 * C::kConsumers);
        barrier_init(v_empty + i, 128 * C::kConsumers);
      }
      barrier_init_fence();
    }
    __syncthreads();
  }
};

/// The steps of one tile: a block range or a slice of the list.
template <typename C>
struct PrefillSteps {
  BlockRange range;
  const int32_t* list = nullptr;
  int list_len = 0;
  WN_DEVICE PrefillSteps(const PrefillArgs& a, PrefillTile tile) {
    range = visible_blocks(tile.row_block * C::kRows, C::kRows, a.q_offset, a.kv_len, a.sink_tokens, a.window_tokens,
                           C::kBlock);
    if (C::kLists && a.block_row_ptr) {
      const int32_t* row = a.block_row_ptr + tile.query_head * a.num_row_blocks + tile.row_block;
      list = a.block_ids + row[0];
      list_len = row[1] - row[0];
    }
  }
  WN_DEVICE bool has_list() const { return C::kLists && list; }
  WN_DEVICE int count() const {
    constexpr int kPerStep = C::kBlock / 64;
    return has_list() ? (list_len + kPerStep - 1) / kPerStep : range.count();
  }
  /// First tokens of the halves of step i.
  WN_DEVICE int2 columns(int i) const {
    if (has_list()) {
      const int first = i * (C::kBlock / 64);
      const int second = first + 1;
      return {list[first] * 64, C::kBlock == 128 && second < list_len ? list[second] * 64 : kNoColumn};
    }
    const int column = range.block(i) * C::kBlock;
    return {column, C::kBlock > 64 ? column + 64 : kNoColumn};
  }
};

template <typename C>
WN_DEVICE void load_tile(const PrefillArgs& a, const CUtensorMap* map, char* target, uint64_t* full, int2 columns,
                         int kv_head, bool is_value) {
  barrier_expect(full, C::kTileBytes);
  if constexpr (!C::kHalves) {
    tma_load_4d(target, map, full, 0, columns.x, 0, kv_head);
  } else {  // a step of 64 keys is one box, one of 128 a box for each half and chunk
#pragma unroll
    for (int half = 0; half < C::kBlock / 64; half++) {
      const int column = half ? columns.y : columns.x;
      int row = column, head = kv_head;
      if (a.page_table) {
        // Columns past the end are masked, so any page will do for them.
        const int entry = min(column, a.kv_len - 1) / 64;
        row = a.page_table[kv_head * a.page_table_stride + entry] * 128 + (is_value ? 64 : 0);
        head = 0;
      }
#pragma unroll
      for (int chunk = 0; chunk < (C::kBlock == 64 ? 1 : C::kChunks); chunk++)
        tma_load_4d(target + chunk * C::kBlock * 128 + half * 8192, map, full, 0, row, chunk, head);
    }
  }
}

/// How far the rings of steps and queries have turned; producer and consumers count alike.
template <typename C>
struct PrefillRings {
  int steps_done = 0, queries_done = 0;
  WN_DEVICE void finish(int count) {
    steps_done += count;
    queries_done++;
  }
  WN_DEVICE int stage(int i) const { return (steps_done + i) % C::kStages; }
  WN_DEVICE int parity(int i) const { return (steps_done + i) / C::kStages & 1; }
  WN_DEVICE int query() const { return queries_done % C::kQueries; }
  WN_DEVICE int query_parity() const { return queries_done / C::kQueries & 1; }
};
WN_DEVICE PrefillTile tile_at(const PrefillArgs& a, int index) {
  return prefill_tile(index, a.num_row_blocks, a.num_kv_heads, a.group_size, a.section);
}

/// Which tiles a block takes: whichever is next where the caller lent two counters, else a fixed share. The next tile is
/// drawn one ahead, so that the counter's latency passes under the tile before.
struct PrefillSchedule {
  const PrefillArgs& a;
  int num_tiles, round = 0, drawn;
  WN_DEVICE explicit PrefillSchedule(const PrefillArgs& args)
      : a(args), num_tiles(a.num_row_blocks * a.num_query_heads), drawn(blockIdx.x) {}
  /// The next tile's index, or -1.
  WN_DEVICE int next() {
    int index = drawn;
    if (a.scheduler) {
      if (index >= num_tiles) return -1;
      drawn = gridDim.x + atomicAdd(a.scheduler, 1);
      return index;
    }
    drawn = snake_index(++round, blockIdx.x, gridDim.x);
    return index < num_tiles ? index : -1;
  }
  /// The last block to end puts the counters back to zero for the next launch.
  WN_DEVICE void end() {
    if (!a.scheduler || atomicAdd(a.scheduler + 1, 1) != static_cast<int>(gridDim.x) - 1) return;
    a.scheduler[0] = 0;
    a.scheduler[1] = 0;
  }
};

template <typename C>
WN_DEVICE void produce(const PrefillArgs& a, const PrefillShared<C>& sm, const CUtensorMap* q_map,
                       const CUtensorMap* k_map, const CUtensorMap* v_map) {
  PrefillSchedule schedule(a);
  PrefillRings<C> rings;
  for (;;) {
    const int index = schedule.next(), query = rings.query();
    barrier_wait(sm.q_empty + query, rings.query_parity() ^ 1);
    if (index < 0) {
      sm.tiles[query] = {-1, 0, 0, 0};
      barrier_arrive(sm.q_full + query);
      break;
    }
    const PrefillTile tile = tile_at(a, index);
    const PrefillSteps<C> steps(a, tile);
    const int kv_head = tile.query_head / a.group_size, count = steps.count();
    sm.tiles[query] = {index, count, tile.row_block * C::kRows, tile.query_head};
    if (count == 0) {
      barrier_arrive(sm.q_full + query);
      rings.finish(0);
      continue;
    }
    barrier_expect(sm.q_full + query, C::kQueryBytes);
    tma_load_4d(sm.q + query * C::kQueryBytes, q_map, sm.q_full + query, 0, tile.row_block * C::kRows, 0,
                tile.query_head);
    // A list's next entry is asked for a step ahead; a range needs no memory.
    int2 next = C::kLists ? steps.columns(0) : make_int2(0, 0);
    int stage = rings.stage(0), parity = rings.parity(0) ^ 1;
#pragma unroll 1  // the producer has few registers, and all the time in the world
    for (int i = 0; i < count; i++) {
      const int2 columns = C::kLists ? next : steps.columns(i);
      if (C::kLists && i + 1 < count) next = steps.columns(i + 1);
      barrier_wait(sm.k_empty + stage, parity);
      sm.columns[stage] = columns;
      load_tile<C>(a, k_map, sm.k + stage * C::kTileBytes, sm.k_full + stage, columns, kv_head, false);
      barrier_wait(sm.v_empty + stage, parity);
      load_tile<C>(a, v_map, sm.v + stage * C::kTileBytes, sm.v_full + stage, columns, kv_head, true);
      if (++stage == C::kStages) {
        stage = 0;
        parity ^= 1;
      }
    }
    rings.finish(count);
  }
  schedule.end();
}

}  // namespace winnow

#endif
