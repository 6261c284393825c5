/// One tile of attend_sets: queries of one unit that are multiplied together.
#pragma once

#include <atomic>
#include <mutex>

#include "attend_sets.h"
#include "set_bits.h"

namespace winnow {

/// One call.
struct SetsRun {
  const Context& context;
  const AttendSetsParams& p;
  const LayerGeometry& shape;
  const AttendKernels& kernels;
  DType element;
  int64_t bytes;  ///< of an element
  std::atomic<int64_t> pairs{0};
  std::atomic<bool> has_memory{true};
  std::atomic<bool> is_uneven{false};
  std::mutex lock;
  std::vector<Bits> read;  ///< by unit, when counts or seen are wanted

  const uint8_t* QueryAt(const SetUnit& unit, int32_t token) const {
    const int64_t row = int64_t{unit.row} * p.query_len + token;
    return static_cast<const uint8_t*>(p.q) + (row * p.num_query_heads + unit.first_head) * shape.head_dim * bytes;
  }
  int64_t OutRow(const SetUnit& unit, int32_t token) const {
    return (int64_t{unit.row} * p.query_len + token) * p.num_query_heads + unit.first_head;
  }
};

/// Attention of `tokens` (ascending) of one unit, which share their lists. False: out of memory.
bool AttendTokens(SetsRun& run, const SetUnit& unit, const std::vector<int32_t>& tokens);

}  // namespace winnow
