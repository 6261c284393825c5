/// Prefill by groups that go their own ways: each consumer group has tiles, a queue and a producing thread of its own.
///
/// For lists, whose tiles are short: while one group begins or ends a tile, the other has the tensor cores to itself. A
/// group takes 128 rows in two halves, so that one half's exponentials run beside the other's products.
#ifndef WINNOW_CUDA_PREFILL_SOLO_CUH
#define WINNOW_CUDA_PREFILL_SOLO_CUH

#include "prefill_consumer.cuh"

namespace winnow {

/// Keys and values alternate in one ring of kStages tiles of 64 tokens.
template <int kHeadDimT, int kStagesT>
struct PrefillSoloConfig {
  static constexpr int kHeadDim = kHeadDimT, kConsumers = 2, kBlock = 64, kStages = kStagesT, kRows = 128;
  static constexpr bool kHalves = true, kLists = true, kSolo = true;
  static constexpr int kThreads = 128 * (kConsumers + 1), kChunks = kHeadDim / 64;
  static constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
  static constexpr int kTileBytes = kBlock * kHeadDim * 2, kQueryBytes = kRows * kHeadDim * 2;
  static constexpr int kGroupBytes = kQueryBytes + kStages * kTileBytes;
  /// Barriers, columns and tile of a group, in words of eight bytes.
  static constexpr int kSmallWords = 2 + 3 * kStages + 1;
  static constexpr int kSharedBytes = kConsumers * (kGroupBytes + 8 * kSmallWords) + 1024;
  static_assert(kSharedBytes <= 232448);
  static_assert(128 * (kConsumers * kConsumerRegisters + kProducerRegisters) <= launch_registers(kThreads));
};

/// What one group and its producing thread share.
template <typename C>
struct PrefillSoloShared {
  char *q, *stage;
  uint64_t *q_full, *q_empty, *full, *empty;
  int2 *columns, *tile;
  WN_DEVICE PrefillSoloShared(char* raw, int group) {
    char* aligned = raw + ((1024 - (shared_address(raw) & 1023)) & 1023);
    q = aligned + group * C::kGroupBytes;
    stage = q + C::kQueryBytes;
    q_full = reinterpret_cast<uint64_t*>(aligned + C::kConsumers * C::kGroupBytes) + group * C::kSmallWords;
    q_empty = q_full + 1;
    full = q_empty + 1;
    empty = full + C::kStages;
    columns = reinterpret_cast<int2*>(empty + C::kStages);
    tile = columns + C::kStages;
  }
  WN_DEVICE void init() const {
    barrier_init(q_full, 1);
    barrier_init(q_empty, 128);
    for (int i = 0; i < C::kStages; i++) {
      barrier_init(full + i, 1);
      barrier_init(empty + i, 128);
    }
  }
};

template <typename C>
struct PrefillSoloRing {
  int stage = 0, parity = 0;
  WN_DEVICE void advance() {
    if (++stage == C::kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

/// One thread a group.
template <typename C>
WN_DEVICE void produce_solo(const PrefillArgs& a, const PrefillSoloShared<C>& sm, int group, const CUtensorMap* q_map,
                            const CUtensorMap* k_map, const CUtensorMap* v_map) {
  PrefillSchedule schedule(a, group * gridDim.x + blockIdx.x, C::kConsumers * gridDim.x);
  PrefillSoloRing<C> ring;
  for (int query_parity = 0;; query_parity ^= 1) {
    const int index = schedule.next();
    barrier_wait(sm.q_empty, query_parity ^ 1);
    if (index < 0) {
      *sm.tile = {-1, 0};
      barrier_arrive(sm.q_full);
      break;
    }
    const PrefillTile tile = tile_at(a, index);
    const PrefillSteps<C> steps(a, tile);
    const int kv_head = tile.query_head / a.group_size, count = steps.count();
    *sm.tile = {index, count};
    if (count == 0) {
      barrier_arrive(sm.q_full);
      continue;
    }
    barrier_expect(sm.q_full, C::kQueryBytes);
    tma_load_4d(sm.q, q_map, sm.q_full, 0, tile.row_block * C::kRows, 0, tile.query_head);
    int2 next = steps.columns(0), next_rows = rows_of<C>(a, next, kv_head);
#pragma unroll 1
    for (int i = 0; i < count; i++) {
      const int2 columns = next, rows = next_rows;
      if (i + 1 < count) {
        next = steps.columns(i + 1);
        next_rows = rows_of<C>(a, next, kv_head);
      }
#pragma unroll
      for (int is_value = 0; is_value < 2; is_value++) {
        barrier_wait(sm.empty + ring.stage, ring.parity ^ 1);
        sm.columns[ring.stage] = columns;
        load_tile<C>(a, is_value ? v_map : k_map, sm.stage + ring.stage * C::kTileBytes, sm.full + ring.stage, rows, kv_head,
                     is_value);
        ring.advance();
      }
    }
  }
  schedule.end();
}

template <typename C>
struct PrefillSoloConsumer {
  using Rows = PrefillRows<C>;
  const PrefillArgs& a;
  const PrefillSoloShared<C>& sm;
  PrefillSoloRing<C> ring;
  Rows low, high;

  WN_DEVICE PrefillSoloConsumer(const PrefillArgs& args, const PrefillSoloShared<C>& shared)
      : a(args), sm(shared), low(args), high(args) {}

  WN_DEVICE void run() {
    for (int query_parity = 0;; query_parity ^= 1) {
      barrier_wait(sm.q_full, query_parity);
      const int2 sent = *sm.tile;
      if (sent.x < 0) return;
      const PrefillTile tile = tile_at(a, sent.x);
      low.begin(tile.row_block * C::kRows);
      high.begin(tile.row_block * C::kRows + 64);
      if (sent.y == 0) barrier_arrive(sm.q_empty);
#pragma unroll 1
      for (int left = sent.y; left > 0; left--) step(left == 1);
      low.store(tile.query_head);
      high.store(tile.query_head);
    }
  }

  /// One block of keys: the products of a half run under the exponentials of the other.
  WN_DEVICE void step(bool is_last) {
    float s_low[Rows::kScores], s_high[Rows::kScores];
    const int key_stage = ring.stage;
    barrier_wait(sm.full + key_stage, ring.parity);
    const int2 columns = sm.columns[key_stage];
    const uint32_t keys = shared_address(sm.stage) + key_stage * C::kTileBytes;
    ring.advance();
    const int value_stage = ring.stage, value_parity = ring.parity;
    const uint32_t values = shared_address(sm.stage) + value_stage * C::kTileBytes;
    ring.advance();
    low.issue_scores(s_low, shared_address(sm.q), keys);
    high.issue_scores(s_high, shared_address(sm.q) + 64 * 128, keys);
    wgmma_wait<1>();
    pin_registers(s_low);
    weigh(low, s_low, columns);
    barrier_wait(sm.full + value_stage, value_parity);
    low.issue_values(values);
    wgmma_wait<1>();
    pin_registers(s_high);
    barrier_arrive(sm.empty + key_stage);
    if (is_last) barrier_arrive(sm.q_empty);
    weigh(high, s_high, columns);
    high.issue_values(values);
    wgmma_wait<0>();
    pin_registers(low.out);
    pin_registers(high.out);
    barrier_arrive(sm.empty + value_stage);
  }
  WN_DEVICE static void weigh(Rows& rows, float (&s)[Rows::kScores], int2 columns) {
    rows.mask(s, columns);
    const float2 factor = rows.soften(s);
    rows.pack(s);
    rows.rescale(factor);
  }
};

}  // namespace winnow

#endif
