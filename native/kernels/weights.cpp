#include "weights.h"

#include <cmath>
#include <cstring>

#include "numerics.h"
#include "pool.h"

namespace winnow {

namespace {

constexpr const char* kTypeNames[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"};

int64_t BlockBytes(WeightType t) { return t == WeightType::kQ8_0 ? 34 : t == WeightType::kQ4_0 ? 18 : 20; }
int ScalesPerOutput(WeightType t) { return t == WeightType::kQ4_1 ? 2 : IsBlockType(t) ? 1 : 0; }

/// Packed bytes of one panel, without scales.
int64_t DataBytes(WeightType type, int64_t groups, int64_t k) {
  switch (type) {
    case WeightType::kF32: return k * groups * kGroup * 4;
    case WeightType::kF16: return k * groups * kGroup * 2;
    case WeightType::kBf16: return (k + 1) / 2 * groups * kGroup * 4;
    case WeightType::kQ8_0: return k * groups * kGroup;
    default: return k * groups * kGroup / 2;
  }
}

int64_t RoundUp(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

/// Where an output column comes from.
struct Origin {
  int32_t source;
  int64_t row;
};

int64_t SourceRow(const WeightSource& s, int64_t row) {
  if (s.interleaved_heads == 0) return row;
  int64_t head_dim = s.rows / s.interleaved_heads, head = row / head_dim, i = row % head_dim, half = head_dim / 2;
  return head * head_dim + (i < half ? 2 * i : 2 * (i - half) + 1);
}

std::vector<Origin> OutputOrder(const std::vector<WeightSource>& sources, int64_t weave) {
  std::vector<Origin> order;
  if (weave > 0) {
    for (int64_t first = 0; first < sources[0].rows; first += weave)
      for (int32_t s = 0; s < 2; s++)
        for (int64_t row = first; row < first + weave; row++) order.push_back({s, SourceRow(sources[s], row)});
    return order;
  }
  for (int32_t s = 0; s < static_cast<int32_t>(sources.size()); s++)
    for (int64_t row = 0; row < sources[s].rows; row++) order.push_back({s, SourceRow(sources[s], row)});
  return order;
}

/// Bits 0-3 of each of the four 16-bit fields, together.
inline uint32_t JoinNibbles(uint64_t x) {
  x &= 0x000f000f000f000full;
  x |= x >> 12;
  x &= 0x000000ff000000ffull;
  return static_cast<uint32_t>((x | x >> 24) & 0xffffu);
}

/// 16 nibble bytes of a block (low nibbles k 0-15, high nibbles k 16-31) -> the four words of one output.
inline void SplitNibbles(const std::byte* bytes, uint32_t (&out)[4]) {
  for (int v = 0; v < 4; v++) {
    uint64_t eight;
    std::memcpy(&eight, bytes + v % 2 * 8, 8);
    eight >>= v / 2 * 4;
    out[v] = JoinNibbles(eight) | JoinNibbles(eight >> 8) << 16;
  }
}

void PackBlocks(const Panel& panel, const std::byte* const* rows, std::byte* data, uint16_t* scales) {
  int64_t blocks = panel.k / kBlock, block_bytes = BlockBytes(panel.type);
  int per_output = ScalesPerOutput(panel.type);
  bool wide = panel.type == WeightType::kQ8_0;
  for (int64_t b = 0; b < blocks; b++) {
    for (int column = 0; column < panel.width; column++) {
      const std::byte* block = rows[column] + b * block_bytes;
      int64_t cell = b * panel.groups + column / kGroup;
      int r = column % kGroup;
      for (int s = 0; s < per_output; s++) std::memcpy(scales + (cell * per_output + s) * kGroup + r, block + 2 * s, 2);
      if (wide) {
        std::byte* out = data + cell * 512 + 2 * r;
        for (int pair = 0; pair < 16; pair++) {
          out[pair * 32] = block[2 + 2 * pair] ^ std::byte{0x80};  // q + 128
          out[pair * 32 + 1] = block[3 + 2 * pair] ^ std::byte{0x80};
        }
      } else {
        uint32_t nibbles[4];
        SplitNibbles(block + 2 * per_output, nibbles);
        for (int v = 0; v < 4; v++) std::memcpy(data + cell * 256 + v * 64 + r * 4, &nibbles[v], 4);
      }
    }
  }
}

void PackPlain(const Panel& panel, const std::byte* const* rows, std::byte* data) {
  int64_t width = panel.groups * kGroup;
  for (int column = 0; column < panel.width; column++) {
    const std::byte* row = rows[column];
    for (int64_t k = 0; k < panel.k; k++) {
      switch (panel.type) {
        case WeightType::kF32: std::memcpy(data + (k * width + column) * 4, row + k * 4, 4); break;
        case WeightType::kF16: std::memcpy(data + (k * width + column) * 2, row + k * 2, 2); break;
        default: std::memcpy(data + ((k / 2 * width + column) * 2 + k % 2) * 2, row + k * 2, 2); break;
      }
    }
  }
}

Status CheckSource(const WeightSource& s, int64_t cols) {
  auto fail = [](const char* what, std::string expected, int64_t actual) {
    return Status::Fail(Code::kModelFormat, std::string("packWeight.") + what, std::move(expected), std::to_string(actual));
  };
  constexpr int64_t kMost = int64_t{1} << 28;
  if (s.rows < 1 || s.rows > kMost) return fail("rows", "1 to 2^28 rows", s.rows);
  if (s.cols != cols) return fail("cols", std::to_string(cols) + " columns as in the first source", s.cols);
  if (s.cols < 1 || s.cols > kMost) return fail("cols", "1 to 2^28 columns", s.cols);
  if (IsBlockType(s.type) && s.cols % kBlock != 0) return fail("cols", "a multiple of 32 columns for a block type", s.cols);
  if (s.interleaved_heads < 0 || (s.interleaved_heads > 0 && s.rows % (2 * s.interleaved_heads) != 0)) {
    return fail("interleavedHeads", "heads of an even number of rows out of " + std::to_string(s.rows), s.interleaved_heads);
  }
  int64_t row = RowBytes(s.type, s.cols);
  if (s.num_bytes < 0 || s.rows > s.num_bytes / row) {
    return fail("bytes", std::to_string(s.rows) + " rows of " + std::to_string(row) + " bytes", s.num_bytes);
  }
  return {};
}

float ScaleOf(const Panel& panel, int64_t cell, int which, int r) {
  return FromF16(panel.scales[(cell * ScalesPerOutput(panel.type) + which) * kGroup + r]);
}

/// The stored integer of output r of a cell at i of its 32 k.
int PanelCode(const Panel& panel, int64_t cell, int r, int i) {
  if (panel.type == WeightType::kQ8_0) return static_cast<uint8_t>(panel.data[cell * 512 + i / 2 * 32 + 2 * r + i % 2]);
  uint32_t word;
  std::memcpy(&word, panel.data + cell * 256 + i / 8 * 64 + r * 4, 4);
  return static_cast<int>(word >> ((i % 8 / 2 + i % 2 * 4) * 4) & 15u);
}

float PanelWeight(const Panel& panel, int64_t column, int64_t k) {
  int64_t width = panel.groups * kGroup;
  switch (panel.type) {
    case WeightType::kF32: {
      float w;
      std::memcpy(&w, panel.data + (k * width + column) * 4, 4);
      return w;
    }
    case WeightType::kF16: {
      uint16_t h;
      std::memcpy(&h, panel.data + (k * width + column) * 2, 2);
      return FromF16(h);
    }
    case WeightType::kBf16: {
      Bf16 h;
      std::memcpy(&h, panel.data + ((k / 2 * width + column) * 2 + k % 2) * 2, 2);
      return FromBf16(h);
    }
    default: break;
  }
  int64_t cell = k / kBlock * panel.groups + column / kGroup;
  int r = static_cast<int>(column % kGroup), i = static_cast<int>(k % kBlock);
  float d = ScaleOf(panel, cell, 0, r);
  float m = panel.type == WeightType::kQ4_1 ? ScaleOf(panel, cell, 1, r) : panel.type == WeightType::kQ4_0 ? -8.f * d : -128.f * d;
  return std::fma(static_cast<float>(PanelCode(panel, cell, r, i)), d, m);
}

}  // namespace

const char* NameOf(WeightType type) { return kTypeNames[static_cast<int>(type)]; }

bool WeightTypeFromName(const char* name, WeightType* out) {
  for (int i = 0; i < 6; i++) {
    if (std::strcmp(name, kTypeNames[i]) == 0) {
      *out = static_cast<WeightType>(i);
      return true;
    }
  }
  return false;
}

int64_t RowBytes(WeightType type, int64_t cols) {
  if (IsBlockType(type)) return cols / kBlock * BlockBytes(type);
  return cols * (type == WeightType::kF32 ? 4 : 2);
}

std::shared_ptr<std::byte> WeightArena::Allocate(size_t bytes) {
  constexpr size_t kSlab = size_t{16} << 20;
  size_t rounded = (bytes + 63) / 64 * 64;
  if (rounded > kSlab / 2) {
    AlignedBytes own = AllocateAligned(rounded);
    return std::shared_ptr<std::byte>(own.release(), AlignedDelete());
  }
  if (slab_ == nullptr || used_ + rounded > kSlab) {
    slab_ = std::shared_ptr<std::byte>(AllocateAligned(kSlab).release(), AlignedDelete());
    used_ = 0;
    if (slab_ == nullptr) return nullptr;
  }
  used_ += rounded;
  return std::shared_ptr<std::byte>(slab_, slab_.get() + used_ - rounded);
}

Status PackMatrix(const std::vector<WeightSource>& sources, int64_t weave, WeightArena& arena, PackedMatrix* out) {
  if (sources.empty()) return Status::Shape("packWeight.sources", "at least one source", "none");
  for (const WeightSource& s : sources) WINNOW_TRY(CheckSource(s, sources[0].cols));
  // One storage type, so that no panel ends between a gate and its up.
  if (weave > 0 && sources.size() == 2 && sources[0].type != sources[1].type) {
    return Status::Fail(Code::kUnsupported, "packWeight.interleave", "two sources of one type",
                        std::string(NameOf(sources[0].type)) + " and " + NameOf(sources[1].type), "Pack them with interleave 0.");
  }
  if (weave > 0 && (sources.size() != 2 || sources[0].rows != sources[1].rows || sources[0].rows % weave != 0)) {
    return Status::Shape("packWeight.interleave", "two sources of equal rows, a multiple of interleave",
                         std::to_string(sources.size()) + " sources, interleave " + std::to_string(weave));
  }
  std::vector<Origin> order = OutputOrder(sources, weave);
  PackedMatrix packed;
  packed.rows = static_cast<int64_t>(order.size());
  packed.cols = sources[0].cols;
  packed.weave = weave;
  packed.panel_of_row.resize(order.size());

  // A panel ends where it is full or where the storage type changes.
  std::vector<int64_t> data_at, scales_at;
  int64_t total = 0;
  for (int64_t row = 0; row < packed.rows;) {
    WeightType type = sources[order[row].source].type;
    int64_t end = row;
    while (end < packed.rows && end - row < kPanelWidth && sources[order[end].source].type == type) end++;
    Panel panel{type, static_cast<int32_t>((end - row + kGroup - 1) / kGroup), static_cast<int32_t>(end - row), row,
                packed.cols, nullptr, nullptr};
    data_at.push_back(total);
    total += RoundUp(DataBytes(type, panel.groups, packed.cols), 64);
    scales_at.push_back(total);
    if (IsBlockType(type)) total += RoundUp(packed.cols / kBlock * panel.groups * ScalesPerOutput(type) * kGroup * 2, 64);
    for (int64_t r = row; r < end; r++) packed.panel_of_row[r] = static_cast<int32_t>(packed.panels.size());
    packed.panels.push_back(panel);
    row = end;
  }
  packed.bytes = arena.Allocate(static_cast<size_t>(total));
  packed.num_bytes = static_cast<size_t>(total);
  if (packed.bytes == nullptr) {
    return Status::Fail(Code::kOutOfMemory, "packWeight", std::to_string(total) + " bytes of memory", "none",
                        "Use a smaller model or fewer bits.");
  }

  Pool::Instance().ParallelFor(static_cast<int64_t>(packed.panels.size()), [&](int64_t i) {
    Panel& panel = packed.panels[i];
    std::byte* data = packed.bytes.get() + data_at[i];
    auto* scales = reinterpret_cast<uint16_t*>(packed.bytes.get() + scales_at[i]);
    int64_t end = i + 1 < static_cast<int64_t>(packed.panels.size()) ? data_at[i + 1] : total;
    if (panel.width % kGroup != 0 || !IsBlockType(panel.type)) std::memset(data, 0, static_cast<size_t>(end - data_at[i]));
    const std::byte* rows[kPanelWidth];
    for (int c = 0; c < panel.width; c++) {
      const Origin& origin = order[panel.first_row + c];
      rows[c] = sources[origin.source].bytes + origin.row * RowBytes(panel.type, packed.cols);
    }
    panel.data = data;
    panel.scales = scales;
    if (IsBlockType(panel.type)) {
      PackBlocks(panel, rows, data, scales);
    } else {
      PackPlain(panel, rows, data);
    }
  });
  *out = std::move(packed);
  return {};
}

Status UnpackVector(const WeightSource& source, float* out) {
  WINNOW_TRY(CheckSource(source, source.cols));
  if (!IsBlockType(source.type)) {
    for (int64_t i = 0; i < source.cols; i++) {
      uint16_t half = 0;
      if (source.type == WeightType::kF32) {
        std::memcpy(out + i, source.bytes + 4 * i, 4);
        continue;
      }
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
  return PanelWeight(panel, row - panel.first_row, col);
}

void UnpackRow(const PackedMatrix& m, int64_t row, float* out) {
  const Panel& panel = m.panels[m.panel_of_row[row]];
  int64_t column = row - panel.first_row;
  if (!IsBlockType(panel.type)) {
    for (int64_t k = 0; k < m.cols; k++) out[k] = PanelWeight(panel, column, k);
    return;
  }
  int r = static_cast<int>(column % kGroup);
  for (int64_t block = 0; block < m.cols / kBlock; block++) {
    int64_t cell = block * panel.groups + column / kGroup;
    double d = ScaleOf(panel, cell, 0, r);
    double least = panel.type == WeightType::kQ4_1 ? ScaleOf(panel, cell, 1, r) : panel.type == WeightType::kQ4_0 ? -8 * d : -128 * d;
    for (int i = 0; i < kBlock; i++) {
      // In double q * d + m is exact, so this rounds once, as fma does.
      out[block * kBlock + i] = static_cast<float>(PanelCode(panel, cell, r, i) * d + least);
    }
  }
}

uint32_t WeightTable::Add(PackedMatrix matrix) {
  counters_.weight_bytes += static_cast<int64_t>(matrix.num_bytes);
  matrices_.emplace(next_, std::make_unique<PackedMatrix>(std::move(matrix)));
  return next_++;
}

Status WeightTable::Get(uint32_t id, const char* where, const PackedMatrix** out) const {
  auto it = matrices_.find(id);
  if (it == matrices_.end()) return Status::Shape(where, "the id of a packed weight", std::to_string(id));
  *out = it->second.get();
  return {};
}

Status WeightTable::Free(uint32_t id) {
  auto it = matrices_.find(id);
  if (it == matrices_.end()) return Status::Shape("freeWeight.w", "the id of a packed weight", std::to_string(id));
  counters_.weight_bytes -= static_cast<int64_t>(it->second->num_bytes);
  matrices_.erase(it);
  return {};
}

}  // namespace winnow
