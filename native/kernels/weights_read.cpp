#include <cmath>
#include <cstring>

#include "numerics.h"
#include "weights.h"

/// Packed matrices read back a value or a row at a time, as every kernel sees them.
namespace winnow {

namespace {

uint32_t Word(const std::byte* at) {
  uint32_t word;
  std::memcpy(&word, at, 4);
  return word;
}

/// The code of output r of a cell at i of its 32 k, as the number that fma takes.
int CodeAt(Codes kind, const std::byte* cell, int r, int i) {
  if (kind == Codes::kBytes) return static_cast<uint8_t>(cell[i / 2 * 32 + 2 * r + i % 2]);
  int pair = i / 2, p = i % 2;
  /// Bits [from, from + count) of half word p of word j.
  auto bits = [&](int j, int from, int count) { return static_cast<int>(Word(cell + j * 64 + r * 4) >> (16 * p + from) & ((1u << count) - 1)); };
  if (kind == Codes::kFive) {
    if (pair < 15) return bits(pair / 3, pair % 3 * 5, 5);
    int code = 0;
    for (int j = 0; j < 5; j++) code |= bits(j, 15, 1) << j;
    return code;
  }
  if (kind == Codes::kSix) {
    int first = pair / 8 * 3, own = pair % 8;
    if (own < 6) return bits(first + own / 2, own % 2 * 6, 6);
    return bits(first + own - 6, 12, 4) | bits(first + 2, 12 + (own - 6) * 2, 2) << 4;
  }
  int code = bits(i / 8, i % 8 / 2 * 4, 4);
  return kind == Codes::kTable ? kTableValues[code] : code;
}

float PlainWeight(const Panel& panel, int64_t column, int64_t k) {
  int64_t width = panel.groups * kGroup;
  if (panel.type == WeightType::kF32) {
    float w;
    std::memcpy(&w, panel.data + (k * width + column) * 4, 4);
    return w;
  }
  bool f16 = panel.type == WeightType::kF16;
  uint16_t half;
  std::memcpy(&half, panel.data + (f16 ? k * width + column : (k / 2 * width + column) * 2 + k % 2) * 2, 2);
  return f16 ? FromF16(half) : FromBf16(half);
}

}  // namespace

Status UnpackVector(const WeightSource& source, float* out) {
  if (!IsBlockType(source.type)) {
    WINNOW_TRY(CheckSource(source, source.cols));
    for (int64_t i = 0; i < source.cols; i++) {
      if (source.type == WeightType::kF32) {
        std::memcpy(out + i, source.bytes + 4 * i, 4);
        continue;
      }
      uint16_t half;
      std::memcpy(&half, source.bytes + 2 * i, 2);
      out[i] = source.type == WeightType::kF16 ? FromF16(half) : FromBf16(half);
    }
    return {};
  }
  WeightArena arena;
  PackedMatrix one;
  WINNOW_TRY(PackMatrix({source}, 0, arena, &one));
  UnpackRow(one, 0, out);
  return {};
}

float WeightAt(const PackedMatrix& m, int64_t row, int64_t col) {
  const Panel& panel = m.panels[m.panel_of_row[row]];
  int64_t column = row - panel.first_row, block = col / kBlock;
  if (!IsBlockType(panel.type)) return PlainWeight(panel, column, col);
  int group = static_cast<int>(column / kGroup), r = static_cast<int>(column % kGroup), i = static_cast<int>(col % kBlock);
  auto cell = static_cast<int>(block % RecordCells(panel.type));
  ScalePair s = ScalesAt(panel.type, panel.record(block, group), cell, i / 16, r);
  return std::fma(static_cast<float>(CodeAt(CodesOf(panel.type), panel.cell(block, group), r, i)), s.d, s.m);
}

void UnpackRow(const PackedMatrix& m, int64_t row, float* out) {
  const Panel& panel = m.panels[m.panel_of_row[row]];
  int64_t column = row - panel.first_row;
  if (!IsBlockType(panel.type)) {
    for (int64_t k = 0; k < m.cols; k++) out[k] = PlainWeight(panel, column, k);
    return;
  }
  Codes kind = CodesOf(panel.type);
  int group = static_cast<int>(column / kGroup), r = static_cast<int>(column % kGroup);
  for (int64_t block = 0; block < m.cols / kBlock; block++) {
    const std::byte* record = panel.record(block, group);
    const std::byte* cell = panel.cell(block, group);
    for (int half = 0; half < 2; half++) {
      ScalePair s = ScalesAt(panel.type, record, static_cast<int>(block % RecordCells(panel.type)), half, r);
      double d = s.d, least = s.m;
      for (int i = 16 * half; i < 16 * half + 16; i++) {
        // In double code * d + m is exact (a multiple of 2^-24 below 2^29), so this rounds once, as fma does.
        out[block * kBlock + i] = static_cast<float>(CodeAt(kind, cell, r, i) * d + least);
      }
    }
  }
}

}  // namespace winnow
