/// Prefill over block lists: the producer that looks a tile ahead.
///
/// A tile of a sparse plan has few steps, so what passes between its last scores and the first of the next tile weighs. Row
/// pointer and first entries of the next tile are read under the steps of this one, its queries have a buffer of their own.
#ifndef WINNOW_CUDA_PREFILL_AHEAD_CUH
#define WINNOW_CUDA_PREFILL_AHEAD_CUH

#include "prefill_producer.cuh"

namespace winnow {

/// The entries of step i of a list of `len`, at least 2 i + 1. Nothing is made of them here: whoever asks does not wait.
WN_DEVICE int2 list_entries(const int32_t* list, int len, int i) { return {list[2 * i], list[min(2 * i + 1, len - 1)]}; }

/// The next tile, in two reads that depend on each other.
struct PrefillAhead {
  int begin = 0, end = 0;
  int2 first{0, 0};
  WN_DEVICE void find(const PrefillArgs& a, const PrefillSchedule& schedule) {
    begin = end = 0;
    if (schedule.drawn >= schedule.num_tiles) return;
    const PrefillTile tile = tile_at(a, schedule.drawn);
    const int32_t* row = a.block_row_ptr + tile.query_head * a.num_row_blocks + tile.row_block;
    begin = row[0];
    end = row[1];
  }
  /// Addresses are chosen, not branches: a branch would be merged with the caller's and wait for `find` in every step. Where
  /// there is no entry, any word that may be read will do.
  WN_DEVICE void look(const PrefillArgs& a) {
    const int32_t* list = a.block_ids + begin;
    first.x = *(end > begin ? list : a.block_row_ptr);
    first.y = *(end > begin + 1 ? list + 1 : a.block_row_ptr);
  }
};

/// As `produce`, for lists alone, of steps of 128 keys.
template <typename C>
WN_DEVICE void produce_ahead(const PrefillArgs& a, const PrefillShared<C>& sm, const CUtensorMap* q_map,
                             const CUtensorMap* k_map, const CUtensorMap* v_map) {
  static_assert(C::kBlock == 128);
  PrefillSchedule schedule(a);
  PrefillRings<C> rings;
  PrefillAhead ahead;
  ahead.find(a, schedule);
  ahead.look(a);
  int key_stage = 0, key_parity = 1, value_stage = 0, value_parity = 1;
  for (;;) {
    const int index = schedule.next(), query = rings.query();
    barrier_wait(sm.q_empty + query, rings.query_parity() ^ 1);
    if (index < 0) {
      sm.tiles[query] = {-1, 0, 0, 0};
      barrier_arrive(sm.q_full + query);
      break;
    }
    const PrefillTile tile = tile_at(a, index);
    const int32_t* list = a.block_ids + ahead.begin;
    const int len = ahead.end - ahead.begin, count = (len + 1) / 2, kv_head = tile.query_head / a.group_size;
    sm.tiles[query] = {0, count, tile.row_block * C::kRows, tile.query_head};
    if (count == 0) {
      barrier_arrive(sm.q_full + query);
    } else {
      barrier_expect(sm.q_full + query, C::kQueryBytes);
      tma_load_4d(sm.q + query * C::kQueryBytes, q_map, sm.q_full + query, 0, tile.row_block * C::kRows, 0, tile.query_head);
    }
    int2 next = ahead.first;
#pragma unroll 1
    for (int i = 0; i < count; i++) {
      const int2 columns = {next.x * 64, 2 * i + 1 < len ? next.y * 64 : kNoColumn};
      if (i + 1 < count) next = list_entries(list, len, i + 1);
      barrier_wait(sm.k_empty + key_stage, key_parity);
      sm.columns[key_stage] = columns;
      load_tile<C>(a, k_map, sm.k + key_stage * C::kTileBytes, sm.k_full + key_stage, columns, kv_head, false);
      if (++key_stage == C::kStages) {
        key_stage = 0;
        key_parity ^= 1;
      }
      barrier_wait(sm.v_empty + value_stage, value_parity);
      load_tile<C>(a, v_map, sm.v + value_stage * C::kTileBytes, sm.v_full + value_stage, columns, kv_head, true);
      if (++value_stage == C::kValueStages) {
        value_stage = 0;
        value_parity ^= 1;
      }
      // The counter was asked a tile ago, the row pointer a step ago: nothing waits for either.
      if (i == 1) ahead.find(a, schedule);
      if (i == 2) ahead.look(a);
    }
    if (count < 2) ahead.find(a, schedule);
    if (count < 3) ahead.look(a);
    rings.finish(count);
  }
  schedule.end();
}

}  // namespace winnow

#endif
