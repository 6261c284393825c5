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
    return segment < a.num_segments ? max(__ldcg(a.slots.kv_lens + segment), 0) : 0;
  }
};

/// One warp, before it waits: the whole share of a block where that fits its ring, as it does in short caches. There the
/// memory would rest while the kernel ahead joins and writes its results. Longer shares gain nothing, and lists take longer
/// to look up than the wait lasts.
template <typename C>
WN_DEVICE void ask_ahead(const DecodeArgs& a, DecodeShare* guess, const CUtensorMap* map) {
  const GuessedSlots slots{a};
  const int lane = threadIdx.x & 31;
  find_share(a, slots, guess);
  __syncwarp();
  if (guess->payload > C::kStages) return;
  DecodeWalk walk(slots, *guess, blockIdx.x);
  DecodePiece piece;
  for (int left = C::kStages; left > 0 && walk.next(piece) && piece.segment < a.num_segments;) {
    const int count = min(left, piece.last_tile - piece.first_tile);
    left -= max(count, 1);
    if (lane >= count || piece.slots <= 0) continue;
    const int entry = min(max(piece.first_tile + lane, 0), a.page_table_stride - 1);
    const int listed = __ldcg(a.page_table + static_cast<int64_t>(piece.segment) * a.page_table_stride + entry);
    const int page = min(max(listed, 0), a.num_pages - 1);
    tma_prefetch_4d(map, 0, page * 128, 0, 0);
    if (a.log_bias) prefetch_l2(a.log_bias + static_cast<int64_t>(page) * 64, 256);
  }
}

}  // namespace winnow

#endif
