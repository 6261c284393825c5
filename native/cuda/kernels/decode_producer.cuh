/// Decode: configuration, shared memory, the partition, and the threads that fill the ring.
#ifndef WINNOW_CUDA_DECODE_PRODUCER_CUH
#define WINNOW_CUDA_DECODE_PRODUCER_CUH

#include "decode_partition.h"
#include "decode_selection.h"
#include "hopper.cuh"

namespace winnow {

/// One thread block per multiprocessor takes an equal share of all 64-slot tiles, in segment order (a segment is one
/// sequence and KV head). One producer group fills a ring of tiles, consumer groups take turns, and the first of them
/// joins their results. A segment inside one block is then done; of a shared one each block leaves an unnormalised
/// partial, and the last block to finish merges them in part order.
struct DecodeArgs {
  const __nv_bfloat16* q;
  const __nv_bfloat16* pages;
  const int32_t* page_table;
  DecodeSelection slots;
  const float* log_bias;
  __nv_bfloat16* out;
  float* lse;
  float* part_out;   ///< [unit][head][head_dim]
  float2* part_sum;  ///< [unit][head] maximum (log2) and sum
  int32_t* tickets;
  int32_t num_segments, num_kv_heads, num_query_heads, group_size, num_pages, page_table_stride;
  float scale_log2;
};

/// Slots of the first segments, looked up once by all threads of a block. Each sixteenth place is left out, so that lanes
/// that read stretches of their own meet different banks.
struct SegmentTable {
  static constexpr int kSegments = 512, kBytes = (kSegments + kSegments / 16) * 4;
  WN_HD static int place(int segment) { return segment + segment / 16; }
};

template <int kHeadDimT, int kHeadsT, bool kGatherT>
struct DecodeConfig {
  static constexpr int kHeadDim = kHeadDimT, kHeads = kHeadsT, kChunks = kHeadDim / 64;
  /// A group's time per tile hardly depends on its size, so small tiles need more groups to keep up with the memory.
  static constexpr int kGroups = kHeadDim == 64 ? 4 : 2;
  static constexpr bool kGather = kGatherT;
  static constexpr int kThreads = 128 * (1 + kGroups);
  static constexpr int kStageBytes = 64 * kHeadDim * 4;
  /// A multiple of kGroups: a stage then always serves the same group. Otherwise a group would skip phases of a
  /// barrier, and a wait on the parity alone could return a round early.
  static constexpr int kStages = kHeadDim == 64 ? (kHeads == 8 ? 12 : 8) : kHeadDim == 128 ? 6 : 2;
  /// Of a row in the scratch of the join: four more floats keep the heads of a warp on different banks.
  static constexpr int kScratchRow = kHeadDim + 4;
  static constexpr int kScratchBytes = (kGroups - 1) * kHeads * (kScratchRow + 2) * 4;
  static constexpr int kQueryBytes = kHeads * kHeadDim * 2, kWeightBytes = kHeads * 128;
  static constexpr int kRowsPerPass = 128 / (kHeadDim / 8);
  /// Copies this many tiles old have landed by the time their barrier is told: what is in flight while gathering.
  static constexpr int kLag = kStages > 4 ? 4 : kStages - 1;
  static constexpr int kSharedBytes = 1024 + kStages * (kStageBytes + 256 + 16 + 4) + 2048 + kScratchBytes +
                                      kGroups * (kQueryBytes + kWeightBytes + 4 * kHeads * 4) + 64 + SegmentTable::kBytes;
  static_assert(kSharedBytes <= 232448 && kLag < kStages && 64 % kRowsPerPass == 0 && kStages % kGroups == 0);
};

template <typename C>
struct DecodeShared {
  char *stage, *q, *weights;
  int64_t* rows;  ///< gather only: arena slot of each token, two pairs of tiles
  uint64_t *full, *empty;
  float *bias, *exchange, *scratch;
  float2* scratch_sum;
  int32_t *valid, *flag, *slots;
  WN_DEVICE explicit DecodeShared(char* raw) {
    stage = raw + ((1024 - (shared_address(raw) & 1023)) & 1023);
    q = stage + C::kStages * C::kStageBytes;
    weights = q + C::kGroups * C::kQueryBytes;
    bias = reinterpret_cast<float*>(weights + C::kGroups * C::kWeightBytes);
    rows = reinterpret_cast<int64_t*>(bias + C::kStages * 64);
    full = reinterpret_cast<uint64_t*>(rows + 4 * 64);
    empty = full + C::kStages;
    scratch_sum = reinterpret_cast<float2*>(empty + C::kStages);
    scratch = reinterpret_cast<float*>(scratch_sum + (C::kGroups - 1) * C::kHeads);
    exchange = scratch + (C::kGroups - 1) * C::kHeads * C::kScratchRow;
    valid = reinterpret_cast<int32_t*>(exchange + C::kGroups * 4 * C::kHeads);
    flag = valid + C::kStages;
    slots = flag + 1;
  }
};

/// Slots to visit of a segment. By reference, so that the arguments stay in constant memory.
struct SegmentSlots {
  const DecodeArgs& a;
  int32_t* table;
  /// With as many segments as lanes or fewer a warp looks them up at once; a table would only be one more step.
  WN_DEVICE bool has_table() const { return a.num_segments > 32; }
  WN_DEVICE void fill() const {
    for (int segment = threadIdx.x; segment < min(a.num_segments, SegmentTable::kSegments); segment += blockDim.x)
      table[SegmentTable::place(segment)] = max(a.slots(segment), 0);
  }
  WN_DEVICE int operator()(int segment) const {
    return has_table() && segment < SegmentTable::kSegments ? table[SegmentTable::place(segment)] : max(a.slots(segment), 0);
  }
};

/// Every block computes the partition from the lengths on the device, so a captured graph follows growing caches; every warp
/// does so for itself, its lanes taking neighbouring segments.
WN_DEVICE DecodeShare find_share(const SegmentSlots& slots) {
  const int num_segments = slots.a.num_segments, lane = threadIdx.x & 31, each = ceil_div(num_segments, 32);
  const int first = lane * each, last = min(first + each, num_segments);
  int count = first < last ? slots(first) : 0, own = first < last ? segment_tiles(count) : 0;
  for (int segment = first + 1; segment < last; segment++) own += segment_tiles(slots(segment));
  const int inclusive = warp_scan(own);
  DecodeShare share;
  share.total = __shfl_sync(~0u, inclusive, 31);
  share.payload = ceil_div(share.total, static_cast<int>(gridDim.x));
  const int begin = share.payload * blockIdx.x;
  const bool begins_here = begin >= inclusive - own && begin < inclusive;
  int segment = first, at = inclusive - own;
  while (begins_here && begin >= at + segment_tiles(count)) {
    at += segment_tiles(count);
    count = slots(++segment);
  }
  const uint32_t lanes = __ballot_sync(~0u, begins_here);
  const int from = lanes ? __ffs(lanes) - 1 : 0;
  segment = __shfl_sync(~0u, segment, from);
  share.segment = lanes ? segment : -1;
  share.segment_begin = __shfl_sync(~0u, at, from);
  share.slots = __shfl_sync(~0u, count, from);
  return share;
}

/// Asks the L2 for the page tables, a line a thread, while the kernel ahead still runs: later lookups wait one behind the other.
WN_DEVICE void prefetch_tables(const DecodeArgs& a) {
  const int64_t byte = (static_cast<int64_t>(threadIdx.x) * gridDim.x + blockIdx.x) * 128;
  if (byte < static_cast<int64_t>(a.num_segments) * a.page_table_stride * 4)
    prefetch_l2_line(reinterpret_cast<const char*>(a.page_table) + byte);
  if (byte < static_cast<int64_t>(a.num_segments) * 4) prefetch_l2_line(reinterpret_cast<const char*>(a.slots.kv_lens) + byte);
}

/// Arena slot of a slot.
WN_DEVICE int64_t arena_slot(const DecodeArgs& a, int segment, int slot) {
  const int page = a.page_table[static_cast<int64_t>(segment) * a.page_table_stride + slot / 64];
  return static_cast<int64_t>(page) * 64 + slot % 64;
}

/// Whole pages, by one warp: 32 entries are looked up at once, since a chain of lookups per tile would be slower than the
/// tiles themselves. Pages of 64 slots come as one box, keys and values; smaller ones as a box a plane and chunk, each by a
/// lane of its own. An entry may begin inside a page (see first_slot): the rows behind it are masked.
template <typename C, int kPage>
WN_DEVICE void produce_pages(const DecodeArgs& a, const DecodeShared<C>& sm, DecodeWalk<SegmentSlots> walk, const CUtensorMap* map) {
  constexpr int kPerTile = 64 / kPage, kBoxes = kPage == 64 ? 1 : kPerTile * 2 * C::kChunks;
  static_assert(kBoxes <= 32);
  DecodePiece piece;
  const int lane = threadIdx.x & 31, bytes = C::kStageBytes + (a.log_bias ? 256 : 0);
  const int own_entry = lane % kPerTile, own_plane = lane / kPerTile % 2, own_chunk = lane / kPerTile / 2;
  int j = 0;
  while (walk.next(piece)) {
    const int slots = a.slots.selection == WN_SELECT_ALL ? piece.slots : a.slots.kv_lens[piece.segment], pages = max(1, ceil_div(piece.slots, kPage));
    const int32_t* entries = a.slots.entries(piece.segment);
    for (int base = piece.first_tile; base < piece.last_tile; base += 32 / kPerTile) {
      // A tile that ends early loads its last page again: masked, and finite.
      const int entry = base * kPerTile + lane;
      int row = 0, held = 0;
      if (piece.slots > 0) {
        const int first = a.slots.first_slot(entries, min(entry, pages - 1), piece.slots, slots);
        const int64_t at = arena_slot(a, piece.segment, first);
        row = static_cast<int>(at / 64 * 128 + at % 64);
        held = entry < pages ? min(max(slots - first, 0), kPage) : 0;
      }
      for (int i = 0; i < min(32 / kPerTile, piece.last_tile - base); i++, j++) {
        const int from = __shfl_sync(~0u, row, i * kPerTile + own_entry), stage = j % C::kStages;
        int valid = 0;
#pragma unroll
        for (int e = 0; e < kPerTile; e++) valid += __shfl_sync(~0u, held, i * kPerTile + e);
        barrier_wait(sm.empty + stage, ((j / C::kStages) & 1) ^ 1);
        char* target = sm.stage + stage * C::kStageBytes;
        if (lane == 0) {
          sm.valid[stage] = valid;
          barrier_expect(sm.full + stage, bytes);
        }
        __syncwarp();
        if constexpr (kPage == 64) {
          if (lane == 0) {
            tma_load_4d(target, map, sm.full + stage, 0, from, 0, 0);
            if (a.log_bias)
              bulk_load(sm.bias + stage * 64, a.log_bias + static_cast<int64_t>(from / 128) * 64, 256, sm.full + stage);
          }
        } else if (lane < kBoxes) {
          tma_load_4d(target + own_chunk * 16384 + (own_plane * 64 + own_entry * kPage) * 128, map, sm.full + stage, 0,
                      from + own_plane * 64, own_chunk, 0);
        }
        __syncwarp();
      }
    }
  }
}

/// The tokens of a piece, with what does not change from one to the next worked out once.
struct GatheredTokens {
  const DecodePiece& piece;
  const int32_t* entries;  ///< null: every slot
  const int32_t* table;
  int slots, own;          ///< slots of the segment, and the place of its last one where that is read listed or not
  WN_DEVICE GatheredTokens(const DecodeArgs& a, const DecodePiece& p) : piece(p) {
    slots = a.slots.reads_own ? a.slots.kv_lens[piece.segment] : -1;
    entries = piece.slots == slots ? nullptr : a.slots.entries(piece.segment);
    table = a.page_table + static_cast<int64_t>(piece.segment) * a.page_table_stride;
    own = a.slots.reads_own ? piece.slots - 1 : -1;
  }
  /// Token that fills row `row` of a tile, or -1.
  WN_DEVICE int token(int tile, int row) const {
    const int i = tile * 64 + row;
    if (tile >= piece.last_tile || i >= piece.slots) return -1;
    return !entries ? i : i == own ? slots - 1 : entries[i];
  }
  WN_DEVICE int64_t arena_slot(int token) const {
    return token < 0 ? -1 : static_cast<int64_t>(table[token / 64]) * 64 + token % 64;
  }
};

/// Single tokens: 16-byte copies into the layout TMA would have left. Lookups run ahead, the token two pairs of tiles
/// and its page one pair, half the threads for each tile of a pair. Barriers are told kLag tiles late, when the copies
/// have landed.
template <typename C>
WN_DEVICE void produce_tokens(const DecodeArgs& a, const DecodeShared<C>& sm, DecodeWalk<SegmentSlots> walk) {
  DecodePiece piece;
  const int thread = threadIdx.x & 127, own_row = thread & 63, own_tile = thread / 64;
  const int row_in_pass = thread / (C::kHeadDim / 8), column = thread % (C::kHeadDim / 8) * 8;
  int j = 0, pairs = 0;
  auto tell = [&](int tile) {
    fence_async_proxy();
    barrier_arrive(sm.full + tile % C::kStages);
  };
  while (walk.next(piece)) {
    const GatheredTokens gathered(a, piece);
    int64_t slot = gathered.arena_slot(gathered.token(piece.first_tile + own_tile, own_row));
    int token = gathered.token(piece.first_tile + 2 + own_tile, own_row);
    for (int tile = piece.first_tile; tile < piece.last_tile; tile++, j++) {
      const int in_pair = (tile - piece.first_tile) & 1;
      if (in_pair == 0) {
        pairs++;
        sm.rows[(pairs & 1) * 128 + thread] = slot;
        named_barrier_sync(1, 128);
        slot = gathered.arena_slot(token);
        token = gathered.token(tile + 4 + own_tile, own_row);
      }
      const int64_t* rows = sm.rows + (pairs & 1) * 128 + in_pair * 64;
      const int stage = j % C::kStages;
      barrier_wait(sm.empty + stage, ((j / C::kStages) & 1) ^ 1);
      if (thread == 0) sm.valid[stage] = min(max(piece.slots - tile * 64, 0), 64);
      const uint32_t base = shared_address(sm.stage) + stage * C::kStageBytes;
#pragma unroll
      for (int pass = 0; pass < 64 / C::kRowsPerPass; pass++) {
        const int row = pass * C::kRowsPerPass + row_in_pass;
        const int64_t source = rows[row];
        const bool valid = source >= 0;
        const __nv_bfloat16* key =
            a.pages + (valid ? (source / 64 * 128 + source % 64) * C::kHeadDim : 0) + column;
        async_copy_16(base + tile_byte(row, column, 128), key, valid);
        async_copy_16(base + tile_byte(row + 64, column, 128), key + 64 * C::kHeadDim, valid);
      }
      if (a.log_bias && thread < 64) {
        const int64_t source = rows[thread];
        async_copy_4(shared_address(sm.bias + stage * 64 + thread), a.log_bias + (source < 0 ? 0 : source), source >= 0);
      }
      async_copy_commit();
      async_copy_wait<C::kLag>();
      if (j >= C::kLag) tell(j - C::kLag);
    }
  }
  async_copy_wait<0>();
  for (int tile = j > C::kLag ? j - C::kLag : 0; tile < j; tile++) tell(tile);
}

}  // namespace winnow

#endif
