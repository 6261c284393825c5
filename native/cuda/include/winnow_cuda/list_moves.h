#ifndef WINNOW_CUDA_LIST_MOVES_H
#define WINNOW_CUDA_LIST_MOVES_H

#include "status.h"

enum {
  /// out[l, i] = values[l, index[l, i]], missing where the index is -1. values [num_lists, width], index, out [num_lists, length].
  WN_MOVE_TAKE = 0,
  /// out = values with -inf at entries index[l, 0 .. lens[l]) (lens -1: everywhere). values, out [num_lists, width], index [num_lists, length].
  WN_MOVE_MASK = 1,
  /// out[l, i] = i < lens[l] ? values[l, i] : missing. values [num_lists, width], out [num_lists, length].
  WN_MOVE_READ = 2,
  /// out[l, lens[l] - length + i, :] = values[l, i, :]. values [num_lists, length, unit], out [num_lists, width, unit].
  WN_MOVE_WRITE = 3,
  /// Slots of [0, lens[l]) that the ascending list index[l, 0 .. index_lens[l]) does not name (index_lens -1: none): out [num_lists, width]
  /// padded with -1, out_lens [num_lists]. index [num_lists, length].
  WN_MOVE_COMPLEMENT = 4,
  /// out[r, 0, i] = mean, sum or maximum (how 0, 1, 2) over s of values[r, s, i]. values [num_lists, length, width], out [num_lists, width].
  WN_MOVE_REDUCE = 5,
  /// out[l] = values[l] where predicate[l / how] > 0 (how: lists of a row), else other[l]; filled up with -1 (int32) or 0.
  /// values [num_lists, width], other [num_lists, unit], out [num_lists, length]; predicate f32, or int32, in `index`.
  WN_MOVE_CHOOSE = 6
};

typedef struct WnListMovesParams {
  const void* values;
  const void* other;
  const int32_t* index;
  const int32_t* lens;
  const int32_t* index_lens;
  void* out;
  int32_t* out_lens;
  int64_t num_lists;
  int32_t width, length;
  int32_t unit;        ///< 32-bit words of an entry, WN_MOVE_WRITE; width of `other`, WN_MOVE_CHOOSE
  int32_t op;          ///< WN_MOVE_*
  int32_t is_integer;  ///< of 32-bit values: missing is -1, not -inf
  int32_t is_predicate_integer;
  int32_t how;
} WnListMovesParams;

/// Moves of 32-bit entries between lists, as the operations say.
///
/// Limits    an index outside a list reads as missing and masks nothing: it cannot be refused without a host read
/// Error     exact (the mean: one rounding of each f32 operation, in the order of the lists)
/// Cost      one read and one write of what moves; the complement is made by one thread block a list
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_list_moves(const WnListMovesParams* params, void* stream);

#endif
