#include "reference.h"

namespace winnow {

void gather_compact_ref(const WnGatherCompactParams& p, uint16_t* target, float* target_bias) {
  const auto* source = static_cast<const uint16_t*>(p.source);
  for (int row = 0; row < p.num_rows; row++)
    for (int i = 0; i < p.counts[row]; i++) {
      const int token = p.indices ? p.indices[static_cast<int64_t>(row) * p.indices_stride + i] : i;
      const int64_t from = p.source_table[static_cast<int64_t>(row) * p.source_stride + token / 64];
      const int64_t to = p.target_table[static_cast<int64_t>(row) * p.target_stride + i / 64];
      for (int part = 0; part < 2; part++)
        for (int d = 0; d < p.head_dim; d++)
          target[(to * 128 + 64 * part + i % 64) * p.head_dim + d] =
              source[(from * 128 + 64 * part + token % 64) * p.head_dim + d];
      if (p.positions) p.positions[to * 64 + i % 64] = p.positions[from * 64 + token % 64];
      if (p.slot_counts) p.slot_counts[to * 64 + i % 64] = p.slot_counts[from * 64 + token % 64];
      if (target_bias) target_bias[to * 64 + i % 64] = p.source_bias[from * 64 + token % 64];
    }
}

}  // namespace winnow
