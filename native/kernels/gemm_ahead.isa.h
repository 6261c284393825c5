#pragma once

#include "weights.h"

/// Prefetch of packed weights. For files compiled per instruction set.
namespace winnow::WINNOW_ISA {
namespace {

/// Asks for what the loop reads some blocks later: the hardware follows neither the jump between codes and scales nor page
/// ends. Panels of a matrix lie one behind the other, codes then scales, and a thread mostly takes them in order.
template <Codes kCodes>
struct Ahead {
  static constexpr int64_t kCell = CellBytes(kCodes), kCells = 4096 / kCell;

  explicit Ahead(const Panel& panel)
      : is_super(IsSuperBlockType(panel.type)),
        groups(panel.groups),
        cells(panel.k / kBlock * panel.groups),
        record_bytes(RecordBytes(panel.type)),
        scale_bytes((is_super ? cells / 8 : cells) * record_bytes),
        codes(reinterpret_cast<const char*>(panel.data)),
        scales(reinterpret_cast<const char*>(panel.scales)) {}

  void Ask(int64_t block, int group) const {
    int64_t then = block * groups + group + kCells;
    bool next = then >= cells;
    const char* at = codes + then * kCell + (next ? scale_bytes : 0);
    for (int64_t line = 0; line < kCell; line += 64) __builtin_prefetch(at + line);
    if (!is_super) {
      __builtin_prefetch(scales + then * record_bytes + (next ? cells * kCell : 0));
    } else if (block % 8 == 0) {
      // The records of the next super-block, one group at a time.
      const char* record = scales + ((block / 8 + 1) * groups + group) * record_bytes;
      for (int64_t line = 0; line < record_bytes; line += 64) __builtin_prefetch(record + line);
    }
  }

  bool is_super;
  int64_t groups, cells, record_bytes, scale_bytes;
  const char *codes, *scales;
};

}  // namespace
}  // namespace winnow::WINNOW_ISA
