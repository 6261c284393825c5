#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "status.h"
#include "tensor.h"
#include "weight_types.h"

namespace winnow {

/// Columns of the product (matrix rows) of one panel, at most; a panel is 1 to 4 groups of 16.
constexpr int kPanelWidth = 64;
constexpr int kGroup = 16;

/// One panel in packed form, `groups` * 16 wide (padding is zero weight), k values deep.
///
///   block types  data [block or super-block]: [group] records of scales (weight_types.h), then [1 or 8 blocks][group] cells
///                of codes, so that a product reads one stream. A cell, 32 k of 16 outputs:
///     nibbles    [4][16 outputs] u32: nibble i + 4 p of word (v, r) holds the code of output r at
///                k = 32 block + 8 v + 2 i + p, so that a shift by 4 i leaves a k pair in the low bits of two half words
///     5 bits     [5][16 outputs] u32: half word p of word (j, r) holds those at k = 32 block + 2 (3 j + i) + p in its bits
///                5 i to 5 i + 4, i = 0, 1, 2, and in bit 15 bit j of that at k = 32 block + 30 + p
///     6 bits     [2][3][16 outputs] u32: half word p of word (h, j, r) holds those at k = 32 block + 16 h + 2 (2 j + i) + p
///                in its bits 6 i to 6 i + 5, i = 0, 1; bits 12 to 15 of j = 0 and 1 are the lower four of pairs 6 and 7 of
///                the half, bits 12, 13 and 14, 15 of j = 2 their upper two
///     bytes      [16 pairs][16 outputs][2] u8: q + 128 at k = 32 block + 2 pair + p
///   F32          data [k][groups * 16] float
///   F16          data [k][groups * 16] half
///   BF16         data [ceil(k / 2)][groups * 16][2] bf16
///
/// A weight takes, packed: Q4_0, IQ4_NL 4.5 bits, Q4_1 5, Q4_K 4.625 (4.5 in the file: six-bit scales become bytes), Q5_0
/// 5.5, Q5_1 6, Q5_K 5.625 (5.5), Q6_K 6.5625, Q8_0 8.5.
struct Panel {
  WeightType type;
  int32_t groups;
  int32_t width;      ///< columns that exist, (groups - 1) * 16 < width <= groups * 16
  int64_t first_row;  ///< first output column
  int64_t k;
  const std::byte* data;

  const std::byte* record(int64_t block, int group) const {
    return data + records_before(block) * groups * RecordBytes(type) + cells_before(block) * CellBytes(CodesOf(type)) +
           group * RecordBytes(type);
  }
  const std::byte* cell(int64_t block, int group) const {
    return data + (records_before(block) + 1) * groups * RecordBytes(type) + (block * groups + group) * CellBytes(CodesOf(type));
  }

 private:
  int64_t records_before(int64_t block) const { return IsSuperBlockType(type) ? block / 8 : block; }
  int64_t cells_before(int64_t block) const { return (IsSuperBlockType(type) ? block / 8 * 8 : block) * groups; }
};

struct PackedMatrix {
  int64_t rows = 0, cols = 0;
  int64_t weave = 0;  ///< rows of gate, then of up, that alternate; 0: not woven
  std::vector<Panel> panels;
  std::vector<int32_t> panel_of_row;  ///< one entry per 16 rows would do, but sources need not be multiples of 16
  std::shared_ptr<std::byte> bytes;
  size_t num_bytes = 0;
};

/// Memory of packed matrices, side by side in slabs of huge pages: a token reads every matrix once, and with 4 KiB pages
/// misses of the translation cache cost a tenth of it. A slab is freed with the last matrix in it.
class WeightArena {
 public:
  /// 64-byte aligned; null when memory is out.
  std::shared_ptr<std::byte> Allocate(size_t bytes);

 private:
  std::shared_ptr<std::byte> slab_;
  size_t used_ = 0;
};

struct WeightSource {
  const std::byte* bytes;
  int64_t num_bytes;  ///< readable from `bytes`
  WeightType type;
  int64_t rows, cols;
  /// Heads whose rows hold interleaved RoPE pairs; row 2 i + p of a head becomes i + p * head_dim / 2. 0: none.
  int64_t interleaved_heads;
};

/// Refuses shapes that make no sense and sources that claim more bytes than they have.
Status CheckSource(const WeightSource& source, int64_t cols);

/// Packs sources that share `cols`, stacked along rows; with weave > 0 two equal sources alternate in groups of `weave`
/// rows. Bytes stay in their type. Runs in parallel.
Status PackMatrix(const std::vector<WeightSource>& sources, int64_t weave, WeightArena& arena, PackedMatrix* out);

/// `length` values as f32.
Status UnpackVector(const WeightSource& source, float* out);

/// The weight at (row, col), exactly as every kernel sees it in f32.
float WeightAt(const PackedMatrix& matrix, int64_t row, int64_t col);
/// A whole row as f32.
void UnpackRow(const PackedMatrix& matrix, int64_t row, float* out);

/// The naive decoder: the value at (row, col) of a source, straight from its checkpoint bytes, RoPE pairs re-ordered.
double SourceValueReference(const WeightSource& source, int64_t row, int64_t col);

/// Id -> matrix; ids are never used twice.
class WeightTable {
 public:
  explicit WeightTable(MemoryCounters& counters) : counters_(counters) {}
  uint32_t Add(PackedMatrix matrix);
  Status Get(uint32_t id, const char* where, const PackedMatrix** out) const;
  Status Free(uint32_t id);
  WeightArena& arena() { return arena_; }

 private:
  MemoryCounters& counters_;
  WeightArena arena_;
  uint32_t next_ = 1;
  std::unordered_map<uint32_t, std::unique_ptr<PackedMatrix>> matrices_;
};

}  // namespace winnow
