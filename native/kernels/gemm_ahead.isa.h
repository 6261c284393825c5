#pragma once

#include "weights.h"

/// Prefetch of packed weights. For files compiled per instruction set.
namespace winnow::WINNOW_ISA {
namespace {

/// Asks for what a loop over the cells of a panel reads 4 KB after `at`, a line at a time: the hardware does not follow page
/// ends. Panels of a matrix lie one behind the other, and a thread mostly takes them in order.
template <Codes kCodes>
inline __attribute__((always_inline)) void AskAhead(const std::byte* at) {
  constexpr int64_t kShare = CellBytes(kCodes) + 64;  // codes, and scales of at most 64 bytes a cell
#pragma GCC unroll 9
  for (int64_t line = 0; line < kShare; line += 64) __builtin_prefetch(reinterpret_cast<const char*>(at) + 4096 + line);
}

}  // namespace
}  // namespace winnow::WINNOW_ISA
