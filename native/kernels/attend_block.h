/// Attention of up to six queries over one block of 512 cache entries: the part of attention that is compiled per
/// instruction set. Prefill and decode are loops round it.
///
///   x[r, e] = cap(q[r] . k[e] * scale) + bias[e], hidden entries -inf
///   m_b = max x,  p = exp(x - m_b),  l_b = sum p,  o_b = p . V
///   m' = max(m, m_b), a = exp(m - m'), b = exp(m_b - m'), l = l a + l_b b, o = o a + o_b b
///
/// Blocks are independent and merged in ascending order, so a query's bits depend neither on how many queries came with
/// it, nor on how they were grouped, nor on which thread did which block. A block that hides everything changes nothing.
///
/// Shapes    a panel of keys holds 64 entries: f32 [head_dim][64]; bf16 [head_dim / 2][64] pairs
///           values of a block: f32 [512][value_stride]; bf16 [256][value_stride] pairs of entries; value_stride is
///           head_dim_v rounded up to 16 lanes; entries that are not there are zero in both
/// Units     logits are in `log_unit` per nat: 1 in f32 (exp), log2 e in bf16 (exp2)
/// Order     scores: one accumulator per entry along head_dim; values: one per output along the entries; sums of p: entry
///           e in lane e % 16; f32 bits are the same on every instruction set
#pragma once

#include <cstdint>

#include "isa.h"

namespace winnow {

constexpr int32_t kPanel = 64;
constexpr int32_t kKeyBlock = 512;
constexpr int32_t kGroupRows = 6;
constexpr int32_t kMaxHeadDim = 256;

static inline int32_t ValueStride(int32_t head_dim_v) { return (head_dim_v + 15) / 16 * 16; }

struct AttendGroup {
  int32_t rows;
  int32_t head_dim;
  int32_t head_dim_v;
  const void* q[kGroupRows];
  /// Packed panels, or null: then the rows of the block's entries are read where they are (see has_direct). That pays for
  /// a group that is alone on its block; the bits are the same. Rows of missing entries in [first_panel, last_panel) point
  /// to zeros.
  const void* keys;
  const void* values;
  const void* const* key_rows;
  const void* const* value_rows;
  /// The rows again where every panel in [first_panel, last_panel) is 64 of them, one behind the other: the first row of
  /// each panel. Null where not: then key_rows and value_rows say it.
  const void* const* key_panels;
  const void* const* value_panels;
  /// 64 rows of keys that are wanted next, one behind the other: they are asked for while the last values are read. Or null.
  const void* next_keys;
  /// Panels [first_panel, last_panel) hold every visible entry.
  int32_t first_panel;
  int32_t last_panel;
  /// Row r sees entries [0, limit[r]) of the block but [hole_begin[r], hole_end[r]).
  int32_t limit[kGroupRows];
  int32_t hole_begin[kGroupRows];
  int32_t hole_end[kGroupRows];
  /// Per entry, in logit units; null when all 0.
  const float* bias;
  /// The same for row r alone (-inf hides an entry), f32 [512]; null when all 0.
  const float* row_bias[kGroupRows];
  /// Original positions per entry and the least one row r sees; null without a sliding window.
  const int32_t* positions;
  int32_t least_position[kGroupRows];
  /// Soft cap 0: x = dot * scale. Else x = tanh(dot * scale) * soft_cap. Both already in logit units.
  float scale;
  float soft_cap;
  /// State of each row; o is f32 [value_stride]. Start with m = -inf, l = 0, o = 0.
  float* m[kGroupRows];
  float* l[kGroupRows];
  float* o[kGroupRows];
  /// f32 [512] for the logits of each row, or null.
  float* logits[kGroupRows];
};

struct AttendKernels {
  float log_unit;
  /// The elements of `count` entries become one panel, zero from there on.
  void (*pack_keys)(const void* const* rows, int32_t count, int32_t head_dim, void* panel);
  /// The same 64 entries for the product with p; panels of a block lie one behind the other.
  void (*pack_values)(const void* const* rows, int32_t count, int32_t head_dim_v, void* panel);
  /// True where `group` can read key_rows and value_rows instead of panels.
  bool (*has_direct)(int32_t head_dim, int32_t head_dim_v);
  void (*group)(const AttendGroup& group);
  /// dot * scale of up to six queries with one panel: out[r * stride + e].
  void (*scores)(const void* const* q, int32_t rows, int32_t head_dim, const void* panel, float scale, float* out,
                 int64_t stride);
  /// One step of the merge above over [value_stride] outputs; m, l, o take the other state in.
  void (*merge)(float m_b, float l_b, const float* o_b, int32_t count, float* m, float* l, float* o);
  /// x becomes exp(x - m) * inverse in place; returns nothing. m and x in logit units; -inf gives 0.
  void (*probabilities)(float* x, int64_t count, float m, float inverse);
  /// Largest x and the sum of exp(x - largest) in lane order.
  void (*softmax_sums)(const float* x, int64_t count, float* m, float* l);
  /// out = o * factor in the kernel's element type.
  void (*finish)(const float* o, int32_t count, float factor, void* out);
};

/// f32 elements on every instruction set, bf16 where there are bf16 products (kAvx512Bf16 and better).
struct AttendTable {
  AttendKernels f32;
  AttendKernels bf16;
};
WINNOW_DECLARE_KERNELS(AttendTable);

inline const AttendKernels& AttendFor(Isa isa, bool bf16) {
  const AttendTable& table = Kernels<AttendTable>(isa);
  return bf16 ? table.bf16 : table.f32;
}

}  // namespace winnow
