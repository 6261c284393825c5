/// Decode: what a block asks the L2 for while the kernel ahead of it still runs.
#ifndef WINNOW_CUDA_DECODE_AHEAD_CUH
#define WINNOW_CUDA_DECODE_AHEAD_CUH

#include "decode_producer.cuh"

namespace winnow {

/// Lengths as they stand now, past the L1 so that no line of it outlives the wait. They may be about to change, or may
/// never have been written: nothing but a guess comes of them, and whatever they are, no address leaves its tensor.
struct GuessedSlots {
  const DecodeArgs& a;
  WN_DEVICE int operator()(int segment) const {
    if (segment >= a.num_segments) return 0;
    if (a.slots.selection == WN_SELECT_ALL) return __ldcg(a.slots.kv_lens + segment);
    const int count = __ldcg(a.slots.selected_lens + a.slots.list(segment));
    return min(max(count, 0), a.slots.selected_stride) * (a.slots.selection == WN_SELECT_PAGES ? a.slots.page_size : 1);
  }
};

WN_DEVICE int64_t guessed_page(const DecodeArgs& a, int segment, int entry) {
  const int inside = min(max(entry, 0), a.page_table_stride - 1);
  const int page = __ldcg(a.page_table + static_cast<int64_t>(segment) * a.page_table_stride + inside);
  return min(max(page, 0), a.num_pages - 1);
}
WN_DEVICE int guessed_choice(const DecodeArgs& a, int segment, int i) {
  return __ldcg(a.slots.entries(segment) + min(i, a.slots.selected_stride - 1));
}

/// One lane, one page.
template <typename C>
WN_DEVICE void ask_for_page(const DecodeArgs& a, const DecodePiece& piece, int tile, const CUtensorMap* map) {
  const int entry = a.slots.selection == WN_SELECT_PAGES ? guessed_choice(a, piece.segment, tile) : tile;
  const int64_t page = guessed_page(a, piece.segment, entry);
  tma_prefetch_4d(map, 0, static_cast<int>(page * 128), 0, 0);
  if (a.log_bias) bulk_prefetch(a.log_bias + page * 64, 256);
}

/// A warp, the small pages of some tiles, one a lane and turn.
template <typename C>
WN_DEVICE void ask_for_small_pages(const DecodeArgs& a, int segment, int first, int end) {
  const int per_page = 64 / a.slots.page_size, bytes = a.slots.page_size * C::kHeadDim * 2;
  for (int i = first + (threadIdx.x & 31); i < end; i += 32) {
    const int entry = max(guessed_choice(a, segment, i), 0);
    const int64_t row = guessed_page(a, segment, entry / per_page) * 128 + entry % per_page * a.slots.page_size;
    bulk_prefetch(a.pages + row * C::kHeadDim, bytes);
    bulk_prefetch(a.pages + (row + 64) * C::kHeadDim, bytes);
  }
}

/// A warp, the tokens first .. end - 1 of a segment, a few at a time so that their lookups pass together.
template <typename C>
WN_DEVICE void ask_for_tokens(const DecodeArgs& a, int segment, int first, int end) {
  constexpr int kBatch = 4;
  for (int i = first + (threadIdx.x & 31); i < end; i += 32 * kBatch) {
    int tokens[kBatch];
    int64_t pages[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; b++) tokens[b] = max(guessed_choice(a, segment, i + 32 * b), 0);
#pragma unroll
    for (int b = 0; b < kBatch; b++) pages[b] = guessed_page(a, segment, tokens[b] / 64);
#pragma unroll
    for (int b = 0; b < kBatch; b++) {
      if (i + 32 * b >= end) continue;
      const __nv_bfloat16* key = a.pages + (pages[b] * 128 + tokens[b] % 64) * C::kHeadDim;
      bulk_prefetch(key, C::kHeadDim * 2);
      bulk_prefetch(key + 64 * C::kHeadDim, C::kHeadDim * 2);
    }
  }
}

/// One warp, before it waits: the first tiles of this block's share, as many as the ring holds. Between short kernels
/// this keeps the memory busy while results are joined, written and waited for.
template <typename C>
WN_DEVICE void ask_ahead(const DecodeArgs& a, DecodeShare* guess, const CUtensorMap* map) {
  const GuessedSlots slots{a};
  find_share(a, slots, guess);
  __syncwarp();
  DecodeWalk walk(slots, *guess, blockIdx.x);
  DecodePiece piece;
  for (int left = C::kStages; left > 0 && walk.next(piece) && piece.segment < a.num_segments;) {
    const int count = min(left, piece.last_tile - piece.first_tile);
    left -= max(count, 1);
    if (piece.slots <= 0) continue;
    if constexpr (C::kGather) {
      ask_for_tokens<C>(a, piece.segment, piece.first_tile * 64, min((piece.first_tile + count) * 64, piece.slots));
    } else if (a.slots.page_size < 64) {
      const int per_tile = 64 / a.slots.page_size, pages = ceil_div(piece.slots, a.slots.page_size);
      ask_for_small_pages<C>(a, piece.segment, piece.first_tile * per_tile, min((piece.first_tile + count) * per_tile, pages));
    } else {
      const int lane = threadIdx.x & 31;
      if (lane < count) ask_for_page<C>(a, piece, piece.first_tile + lane, map);
    }
  }
}

}  // namespace winnow

#endif
