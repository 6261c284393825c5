#include "weights.h"

#include <cstring>

#include "numerics.h"
#include "pool.h"

namespace winnow {

namespace {

/// Packed bytes of one panel.
int64_t DataBytes(WeightType type, int64_t groups, int64_t k) {
  switch (type) {
    case WeightType::kF32: return k * groups * kGroup * 4;
    case WeightType::kF16: return k * groups * kGroup * 2;
    case WeightType::kBf16: return (k + 1) / 2 * groups * kGroup * 4;
    default: return k / BlockValues(type) * groups * (RecordBytes(type) + RecordCells(type) * CellBytes(CodesOf(type)));
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

/// The 32 codes of output r of a cell, in their places (see Panel).
void PackNibbles(const uint8_t (&codes)[kBlock], int r, std::byte* cell) {
  for (int v = 0; v < 4; v++) {
    uint64_t eight;
    std::memcpy(&eight, codes + 8 * v, 8);
    uint32_t nibbles = JoinNibbles(eight) | JoinNibbles(eight >> 8) << 16;
    std::memcpy(cell + v * 64 + r * 4, &nibbles, 4);
  }
}

void PackFive(const uint8_t (&codes)[kBlock], int r, std::byte* cell) {
  for (int j = 0; j < 5; j++) {
    for (int p = 0; p < 2; p++) {
      const uint8_t* c = codes + 6 * j + p;
      auto half = static_cast<uint16_t>(c[0] | c[2] << 5 | c[4] << 10 | (codes[30 + p] >> j & 1) << 15);
      std::memcpy(cell + j * 64 + r * 4 + 2 * p, &half, 2);
    }
  }
}

void PackSix(const uint8_t (&codes)[kBlock], int r, std::byte* cell) {
  for (int h = 0; h < 2; h++) {
    for (int p = 0; p < 2; p++) {
      const uint8_t* c = codes + 16 * h + p;
      int six = c[12], seven = c[14];
      const int rest[3] = {six & 15, seven & 15, six >> 4 | seven >> 4 << 2};
      for (int j = 0; j < 3; j++) {
        auto half = static_cast<uint16_t>(c[4 * j] | c[4 * j + 2] << 6 | rest[j] << 12);
        std::memcpy(cell + (h * 3 + j) * 64 + r * 4 + 2 * p, &half, 2);
      }
    }
  }
}

void PackBytes(const uint8_t (&codes)[kBlock], int r, std::byte* cell) {
  for (int i = 0; i < kBlock; i++) cell[i / 2 * 32 + 2 * r + i % 2] = std::byte{codes[i]};
}

void PackBlocks(const Panel& panel, const std::byte* const* rows, std::byte* data) {
  Codes kind = CodesOf(panel.type);
  int64_t blocks = panel.k / kBlock, cells = RecordCells(panel.type), block_bytes = BlockBytes(panel.type);
  for (int64_t b = 0; b < blocks; b++) {
    for (int column = 0; column < panel.width; column++) {
      int64_t group = column / kGroup;
      int r = column % kGroup;
      uint8_t codes[kBlock];
      DecodeCodes(panel.type, rows[column], b, codes);
      std::byte* cell = data + (panel.cell(b, static_cast<int>(group)) - panel.data);
      switch (kind) {
        case Codes::kBytes: PackBytes(codes, r, cell); break;
        case Codes::kFive: PackFive(codes, r, cell); break;
        case Codes::kSix: PackSix(codes, r, cell); break;
        default: PackNibbles(codes, r, cell); break;
      }
      if (b % cells != 0) continue;
      std::byte* record = data + (panel.record(b, static_cast<int>(group)) - panel.data);
      DecodeScales(panel.type, rows[column] + b / cells * block_bytes, r, record);
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

}  // namespace

Status CheckSource(const WeightSource& s, int64_t cols) {
  auto fail = [](const char* what, std::string expected, int64_t actual) {
    return Status::Fail(Code::kModelFormat, std::string("packWeight.") + what, std::move(expected), std::to_string(actual));
  };
  constexpr int64_t kMost = int64_t{1} << 28;
  if (s.rows < 1 || s.rows > kMost) return fail("rows", "1 to 2^28 rows", s.rows);
  if (s.cols != cols) return fail("cols", std::to_string(cols) + " columns as in the first source", s.cols);
  if (s.cols < 1 || s.cols > kMost) return fail("cols", "1 to 2^28 columns", s.cols);
  if (int64_t values = BlockValues(s.type); s.cols % values != 0) {
    return fail("cols", "a multiple of " + std::to_string(values) + " columns for " + NameOf(s.type), s.cols);
  }
  if (s.interleaved_heads < 0 || (s.interleaved_heads > 0 && s.rows % (2 * s.interleaved_heads) != 0)) {
    return fail("interleavedHeads", "heads of an even number of rows out of " + std::to_string(s.rows), s.interleaved_heads);
  }
  int64_t row = RowBytes(s.type, s.cols);
  if (s.num_bytes < 0 || s.rows > s.num_bytes / row) {
    return fail("bytes", std::to_string(s.rows) + " rows of " + std::to_string(row) + " bytes", s.num_bytes);
  }
  return {};
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
  std::vector<int64_t> data_at;
  int64_t total = 0;
  for (int64_t row = 0; row < packed.rows;) {
    WeightType type = sources[order[row].source].type;
    int64_t end = row;
    while (end < packed.rows && end - row < kPanelWidth && sources[order[end].source].type == type) end++;
    Panel panel{type, static_cast<int32_t>((end - row + kGroup - 1) / kGroup), static_cast<int32_t>(end - row), row,
                packed.cols, nullptr};
    data_at.push_back(total);
    total += RoundUp(DataBytes(type, panel.groups, packed.cols), 64);
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
    int64_t end = i + 1 < static_cast<int64_t>(packed.panels.size()) ? data_at[i + 1] : total;
    if (panel.width % kGroup != 0 || !IsBlockType(panel.type)) std::memset(data, 0, static_cast<size_t>(end - data_at[i]));
    const std::byte* rows[kPanelWidth];
    for (int c = 0; c < panel.width; c++) {
      const Origin& origin = order[panel.first_row + c];
      rows[c] = sources[origin.source].bytes + origin.row * RowBytes(panel.type, packed.cols);
    }
    panel.data = data;
    if (IsBlockType(panel.type)) {
      PackBlocks(panel, rows, data);
    } else {
      PackPlain(panel, rows, data);
    }
  });
  *out = std::move(packed);
  return {};
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
