/// Index arithmetic shared by kernels and host tests: pure functions, no memory.
#ifndef WINNOW_CUDA_INDEX_H
#define WINNOW_CUDA_INDEX_H

#include <cstdint>

#ifdef __CUDACC__
#define WN_HD __host__ __device__ __forceinline__
#else
#define WN_HD inline
#endif

namespace winnow {

template <typename A, typename B>
WN_HD constexpr auto ceil_div(A a, B b) {
  return (a + b - 1) / b;
}

/// Byte of element (row, column) in a tile of bf16 rows cut into 64-column chunks with the 128-byte swizzle.
/// TMA writes it, wgmma reads it both K-major (rows are M or N) and MN-major (columns are M or N).
WN_HD constexpr int tile_byte(int row, int column, int rows_per_chunk) {
  return (column / 64) * rows_per_chunk * 128 + row * 128 + ((((column % 64) / 8) ^ (row % 8)) * 16) + 2 * (column % 8);
}

/// Byte of 16-byte piece `piece` of a row of kPieces pieces, swizzled so that eight rows of one piece lie on different banks.
template <int kPieces>
WN_HD constexpr uint32_t piece_byte(int row, int piece) {
  return static_cast<uint32_t>(row * kPieces * 16 + (piece ^ (row & 7)) * 16);
}

/// Row and column of accumulator register `i` of `thread` (0 .. 127) of a wgmma with 64 rows.
WN_HD constexpr int accumulator_row(int thread, int i) {
  return 16 * (thread / 32) + (thread % 32) / 4 + 8 * ((i >> 1) & 1);
}
WN_HD constexpr int accumulator_column(int thread, int i) { return 8 * (i / 4) + 2 * (thread % 4) + (i & 1); }

/// Descriptor of a wgmma operand in shared memory with the 128-byte swizzle. The leading offset matters only for MN-major
/// operands wider than 64: it is the distance to the next 64 columns.
WN_HD constexpr uint64_t operand_descriptor(uint32_t address, uint32_t leading_bytes) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | (static_cast<uint64_t>(leading_bytes >> 4) << 16) |
         (static_cast<uint64_t>(1024 >> 4) << 32) | (1ull << 62);
}

/// Which column blocks a tile of query rows visits: sink blocks [0, num_sink), then [first, end), walked downwards so
/// that the masked ones come first.
struct BlockRange {
  int num_sink, first, end;
  WN_HD int count() const { return num_sink + end - first; }
  WN_HD int block(int i) const { return i < end - first ? end - 1 - i : num_sink - 1 - (i - (end - first)); }
};

/// window_tokens <= 0 means no window. 32 bits are enough: lengths, offsets and windows are below 2^28.
WN_HD BlockRange visible_blocks(int first_row, int num_rows, int q_offset, int kv_len, int sink_tokens,
                                int window_tokens, int block) {
  const int last = first_row + num_rows - 1 + q_offset, visible = last + 1 < kv_len ? last + 1 : kv_len;
  BlockRange range{0, 0, ceil_div(visible, block)};
  if (window_tokens > 0) {
    const int lowest = first_row + q_offset - window_tokens + 1;
    range.first = lowest > 0 ? lowest / block : 0;
    if (range.first > range.end) range.first = range.end;
    const int sinks = ceil_div(sink_tokens, block);
    range.num_sink = sinks < range.first ? sinks : range.first;
  }
  return range;
}

/// Tile order of a prefill grid: sections of KV heads whose keys and values fit the L2 together; inside a section the
/// longest row blocks first, and the query heads of a section side by side.
struct PrefillTile {
  int row_block, query_head;
};
WN_HD PrefillTile prefill_tile(int index, int num_row_blocks, int num_kv_heads, int group_size, int section) {
  const int per_section = num_row_blocks * section * group_size, s = index / per_section, rest = index % per_section;
  const int left = num_kv_heads - s * section, heads = (left < section ? left : section) * group_size;
  return {num_row_blocks - 1 - rest / heads, s * section * group_size + rest % heads};
}

/// Tile of `block` in `round` of a persistent grid: every other round runs backwards, so that with tiles sorted by
/// length no block always draws the longer ones. May be past the last tile in the last round.
WN_HD constexpr int snake_index(int round, int block, int num_blocks) {
  return round * num_blocks + (round % 2 ? num_blocks - 1 - block : block);
}

/// Order-preserving key of a float: greater float, greater key; -0 = +0; NaN lowest.
WN_HD uint32_t radix_key(uint32_t bits) {
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
  if (bits == 0x80000000u) bits = 0;
  return (bits & 0x80000000u) ? ~bits : bits | 0x80000000u;
}

/// The finaliser of splitmix64.
WN_HD uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
/// Uniform in [0, 1): two rounds of the finaliser, as one alone leaves neighbouring streams correlated.
WN_HD float random_score(uint64_t seed, uint64_t layer, int64_t head, int64_t slot) {
  const uint64_t step = 0x9e3779b97f4a7c15ull;
  const uint64_t stream = mix_bits(seed * step + (layer << 20 | static_cast<uint64_t>(head)) + 1);
  return static_cast<float>(mix_bits(stream + static_cast<uint64_t>(slot + 1) * step) >> 40) * 0x1p-24f;
}

/// Uniform in [0, 1) in f64, draw `index` of a stream.
WN_HD double uniform_draw(uint64_t seed, uint64_t stream, uint64_t index) {
  return static_cast<double>(mix_bits(mix_bits(seed * 0x9e3779b97f4a7c15ull + stream * 0xd1b54a32d192ed03ull + index + 1)) >> 11) * 0x1p-53;
}

}  // namespace winnow

#endif
