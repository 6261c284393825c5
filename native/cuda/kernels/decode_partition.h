/// Equal shares of ragged decode work, as pure functions: the kernel and the host tests run the same code.
///
/// A segment is one sequence and KV head, its work is counted in tiles of 64 slots, and the tiles of all segments are
/// laid end to end. Part p takes tiles p * payload up to (p + 1) * payload. Shares that differ by
/// at most one tile were slower where equal ones end with a segment: a part inside two segments waits for two joins.
#ifndef WINNOW_CUDA_DECODE_PARTITION_H
#define WINNOW_CUDA_DECODE_PARTITION_H

#include "index.h"

namespace winnow {

/// An empty segment is one masked tile, so that its output is written by the ordinary path.
WN_HD int segment_tiles(int slots) { return slots <= 0 ? 1 : (slots + 63) / 64; }

struct DecodeShare {
  int32_t payload, total;  ///< tiles of a part, of all segments; 32 bits, as divisions of 64 take long
  int32_t segment_begin;   ///< first tile of `segment`
  int32_t segment;         ///< where this part begins, or -1 if it has nothing
  int32_t slots;           ///< of `segment`
};

/// Tiles first_tile .. last_tile - 1 of a segment with `slots` slots that begins at tile segment_begin of all.
struct DecodePiece {
  int segment, first_tile, last_tile, slots, segment_begin;
};

/// Walks the pieces of one part. `slots(segment)` gives the number of slots to visit.
template <typename Slots>
struct DecodeWalk {
  Slots slots;
  int position, end, segment_begin, segment, first_slots;
  bool is_first = true;
  WN_HD DecodeWalk(Slots s, const DecodeShare& share, int part) : slots(s), first_slots(share.slots) {
    position = share.payload * part;
    end = position + share.payload < share.total ? position + share.payload : share.total;
    segment = share.segment;
    segment_begin = share.segment_begin;
    if (segment < 0) position = end;
  }
  WN_HD bool next(DecodePiece& piece) {
    if (position >= end) return false;
    if (!is_first) {
      segment++;
      segment_begin = position;
    }
    const int count = is_first ? first_slots : slots(segment), tiles = segment_tiles(count);
    is_first = false;
    piece.segment = segment;
    piece.slots = count;
    piece.segment_begin = segment_begin;
    piece.first_tile = position - segment_begin;
    piece.last_tile = tiles < end - segment_begin ? tiles : end - segment_begin;
    position = segment_begin + piece.last_tile;
    return true;
  }
};

/// The parts that hold a segment, and where each leaves its partial result. A part shares at most the segment it begins
/// inside of (unit 2 * part) and the last one that begins inside it (unit 2 * part + 1).
struct DecodeUnits {
  int first_part, arrivals;
  WN_HD DecodeUnits(const DecodePiece& piece, int payload) {
    first_part = piece.segment_begin / payload;
    arrivals = (piece.segment_begin + segment_tiles(piece.slots) - 1) / payload - first_part + 1;
  }
  /// Unit that arrival i of the segment wrote, in part order.
  WN_HD int64_t unit(int i) const { return unit_of(first_part + i, i == 0); }
  WN_HD static int64_t unit_of(int part, bool begins_here) { return static_cast<int64_t>(part) * 2 + (begins_here ? 1 : 0); }
};

}  // namespace winnow

#endif
