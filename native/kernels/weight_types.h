#pragma once

#include <cstddef>
#include <cstdint>

namespace winnow {

/// Storage types of checkpoint matrices, by GGUF name. Block types hold 32 values along a row, K types super-blocks of 256.
enum class WeightType : int32_t { kF32, kF16, kBf16, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kIQ4_NL, kQ4_K, kQ5_K, kQ6_K };
constexpr int kNumWeightTypes = 12;
const char* NameOf(WeightType type);
bool WeightTypeFromName(const char* name, WeightType* out);
/// "F32, F16, …", for messages.
const char* WeightTypeNames();

/// Columns of one packed cell: every block type is cut into cells of 32.
constexpr int kBlock = 32;
constexpr int kSuperBlock = 256;
constexpr bool IsBlockType(WeightType t) { return t >= WeightType::kQ8_0; }
constexpr bool IsSuperBlockType(WeightType t) { return t >= WeightType::kQ4_K; }
/// Values that a row must be a multiple of.
constexpr int64_t BlockValues(WeightType t) { return IsSuperBlockType(t) ? kSuperBlock : IsBlockType(t) ? kBlock : 1; }
/// Bytes of BlockValues values in the checkpoint.
int64_t BlockBytes(WeightType type);
/// Bytes of one checkpoint row of `cols` values.
int64_t RowBytes(WeightType type, int64_t cols);

/// How the codes of a block type are packed; one unpacking loop each.
enum class Codes : int32_t { kNibbles, kTable, kFive, kSix, kBytes };
constexpr Codes CodesOf(WeightType t) {
  switch (t) {
    case WeightType::kQ8_0: return Codes::kBytes;
    case WeightType::kIQ4_NL: return Codes::kTable;
    case WeightType::kQ5_0:
    case WeightType::kQ5_1:
    case WeightType::kQ5_K: return Codes::kFive;
    case WeightType::kQ6_K: return Codes::kSix;
    default: return Codes::kNibbles;
  }
}
/// Packed bytes of the codes of 16 outputs at 32 k.
constexpr int64_t CellBytes(Codes c) { return c == Codes::kBytes ? 512 : c == Codes::kSix ? 384 : c == Codes::kFive ? 320 : 256; }

/// Parts of a cell with scales of their own: halves for six bits.
constexpr int PartsOf(Codes c) { return c == Codes::kSix ? 2 : 1; }

/// What the 16 codes of IQ4_NL stand for, in units of the block's scale.
constexpr int kTableValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Packed scales: one record for 16 outputs at RecordCells cells of 32 k.
///
///   Q8_0, Q4_0, Q5_0, IQ4_NL  [16] f16 d
///   Q4_1, Q5_1                [16] f16 d, [16] f16 m
///   Q4_K, Q5_K                [16] f16 d, [16] f16 -dmin, then for each of 8 cells [16] u8 scale, [16] u8 minimum
///   Q6_K                      [16] f16 d, then for each of 16 half cells [16] i8 scale
constexpr int64_t RecordCells(WeightType t) { return BlockValues(t) / kBlock; }
constexpr int64_t RecordBytes(WeightType t) {
  if (t == WeightType::kQ6_K) return 32 + 16 * 16;
  if (IsSuperBlockType(t)) return 64 + 8 * 32;
  return t == WeightType::kQ4_1 || t == WeightType::kQ5_1 ? 64 : 32;
}

/// Block `block` (of 32 values) of a checkpoint row: its codes, unsigned. Q8_0 as q + 128.
void DecodeCodes(WeightType type, const std::byte* row, int64_t block, uint8_t (&codes)[kBlock]);
/// The scales of one checkpoint block (32 or 256 values) into lane r of a packed record.
void DecodeScales(WeightType type, const std::byte* block, int r, std::byte* record);

/// w = fma(code, d, m): the only definition of a weight, in f32, for the half cell `half` of cell `cell` of a record.
/// Q4_0, Q5_0, Q6_K and Q8_0 have m = -8, -16, -32 and -128 d (exact); a K type's d and m are products of 11 by at most 8
/// bits (exact); IQ4_NL has the table's value for a code and m = 0.
struct ScalePair {
  float d, m;
};
ScalePair ScalesAt(WeightType type, const std::byte* record, int cell, int half, int r);

}  // namespace winnow
