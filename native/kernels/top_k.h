#pragma once

#include <cstdint>
#include <vector>

#include "status.h"

namespace winnow {

enum class Flatten : int32_t { kNone = 0, kLists = 1, kAll = 2 };

struct TopKParams {
  const float* scores;
  int64_t rows;
  int64_t lists;
  int64_t length;
  const int32_t* counts;
  int32_t protect_first;
  int32_t protect_last;
  Flatten flatten;
};

/// Chosen entries: list i holds values [offsets[i], offsets[i + 1]), ascending.
struct TopKResult {
  std::vector<int64_t> offsets;
  std::vector<int32_t> values;
  int64_t LenOf(int64_t list) const { return offsets[list + 1] - offsets[list]; }
  int64_t MaxLen() const;
};

/// The largest entries of each list, ascending by index; ties to the lower index, across lists to the lower list.
///
/// The first protect_first and last protect_last valid entries of a list are taken before all others and count; should the
/// budget not cover them, sinks go first (in order), then the last ones (from the end), list by list within a rank.
/// -inf and NaN are no entries and are never taken; -0 equals 0.
///
/// Shapes    scores [rows, lists, length] f32
///           counts int32: kNone [rows, lists]; kLists [rows], one budget over a row's lists; kAll [1], one over everything
/// Limits    rows * lists * length < 2^32 per budget; counts >= 0
/// Cost      linear selection per budget
Status TopK(const TopKParams& params, TopKResult* out);
/// The same by full sorting, written for reading.
TopKResult TopKRef(const TopKParams& params);

}  // namespace winnow
