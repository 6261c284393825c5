#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "status.h"
#include "tensor.h"

namespace winnow {

/// Storage types of checkpoint matrices. Block types hold 32 values along a row with an f16 scale (and minimum).
enum class WeightType : int32_t { kF32, kF16, kBf16, kQ8_0, kQ4_0, kQ4_1 };
const char* NameOf(WeightType type);
bool WeightTypeFromName(const char* name, WeightType* out);

constexpr int kBlock = 32;
constexpr bool IsBlockType(WeightType t) { return t >= WeightType::kQ8_0; }
/// Bytes of one checkpoint row of `cols` values.
int64_t RowBytes(WeightType type, int64_t cols);

/// Columns of the product (matrix rows) of one panel, at most; a panel is 1 to 4 groups of 16.
constexpr int kPanelWidth = 64;
constexpr int kGroup = 16;

/// One panel in packed form, `groups` * 16 wide (padding is zero weight), k values deep.
///
///   Q4_0, Q4_1  data [block][group][4][16 outputs] u32: nibble i + 4 p of word (v, r) holds the weight of output r at
///               k = 32 block + 8 v + 2 i + p, so that a shift by 4 i leaves a k pair in the low bits of two half words
///   Q8_0        data [block][group][16 pairs][16 outputs][2] u8: q + 128 at k = 32 block + 2 pair + p
///   F32         data [k][groups * 16] float
///   F16         data [k][groups * 16] half
///   BF16        data [ceil(k / 2)][groups * 16][2] bf16
///   scales      [block][group][16] f16 d, for Q4_1 followed by [16] f16 m
///
/// A weight is fma(q, d, m) in every path: Q4_1 as stored, Q4_0 with m = -8 d, Q8_0 with q + 128 and m = -128 d
/// (both products exact in f32).
struct Panel {
  WeightType type;
  int32_t groups;
  int32_t width;      ///< columns that exist, (groups - 1) * 16 < width <= groups * 16
  int64_t first_row;  ///< first output column
  int64_t k;
  const std::byte* data;
  const uint16_t* scales;
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
