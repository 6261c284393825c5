/// What can be known without a device: index arithmetic, operand layouts as the hardware reads them, list producers,
/// the decode partition, and the references against each other. One JSON line per check, exit code 1 on failure.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>

#include "decode_partition.h"
#include "decode_selection.h"
#include "index.h"
#include "reference.h"

namespace winnow::test {
namespace {

int failures = 0;
void report(const char* name, bool passed, const std::string& detail = "") {
  std::printf("{\"check\":\"%s\",\"status\":\"%s\",\"detail\":\"%s\"}\n", name, passed ? "ok" : "failed", detail.c_str());
  if (!passed) failures++;
}
uint32_t random_word(uint64_t& state) {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<uint32_t>(state >> 33);
}
int between(uint64_t& state, int low, int high) { return low + static_cast<int>(random_word(state) % (high - low + 1)); }

/// The 128-byte swizzle as the hardware applies it to an address in a 1024-aligned tile.
int swizzled(int byte) { return byte ^ ((byte >> 7 & 7) << 4); }
/// Byte a wgmma reads for element (mn, k) of an operand behind a descriptor with this base and offsets.
int k_major_byte(int base, int mn, int k) { return swizzled(base + mn / 8 * 1024 + mn % 8 * 128 + 2 * k); }
int mn_major_byte(int base, int leading, int mn, int k) {
  return swizzled(base + mn / 64 * leading + k / 8 * 1024 + k % 8 * 128 + 2 * (mn % 64));
}

void check_tiles() {
  bool unique = true, k_major = true, mn_major = true;
  for (int d : {64, 128, 256})
    for (int rows : {8, 16, 64, 128, 192}) {
      std::set<int> bytes;
      for (int row = 0; row < rows; row++)
        for (int column = 0; column < d; column++) bytes.insert(tile_byte(row, column, rows));
      unique &= static_cast<int>(bytes.size()) == rows * d && *bytes.rbegin() == 2 * (rows * d - 1);
      // K-major, as the kernels step through it: 32 bytes per 16 channels, a chunk of rows * 128 bytes per 64.
      for (int row = 0; row < rows; row++)
        for (int column = 0; column < d; column++) {
          const int step = column / 16, base = step / 4 * rows * 128 + step % 4 * 32;
          k_major &= k_major_byte(base, row, column % 16) == tile_byte(row, column, rows);
        }
      // MN-major (values): 2048 bytes per 16 keys, leading offset rows * 128.
      for (int row = 0; row < rows / 16 * 16; row++)
        for (int column = 0; column < d; column++)
          mn_major &= mn_major_byte(row / 16 * 2048, rows * 128, column, row % 16) == tile_byte(row, column, rows);
    }
  // Decode keeps 64 rows of keys and 64 of values in one tile of 128, and reads values one 64-channel chunk at a time.
  for (int row = 0; row < 64; row++)
    for (int column = 0; column < 256; column++)
      mn_major &= mn_major_byte(column / 64 * 16384 + 8192 + row / 16 * 2048, 16384, column % 64, row % 16) ==
                  tile_byte(64 + row, column, 128);
  report("every element of a tile has a byte of its own", unique);
  report("K-major descriptor steps read the tile", k_major);
  report("MN-major descriptor steps read the tile", mn_major);
  std::set<std::pair<int, int>> seen;
  for (int thread = 0; thread < 128; thread++)
    for (int i = 0; i < 64; i++) seen.insert({accumulator_row(thread, i), accumulator_column(thread, i)});
  report("accumulator registers cover 64 x 128 once", seen.size() == 64 * 128);
}

void check_blocks() {
  uint64_t state = 1;
  bool covered = true, once = true, lean = true;
  for (int trial = 0; trial < 3000; trial++) {
    WnPrefillAttentionParams p{};
    p.num_query_heads = 1;
    p.query_len = between(state, 1, 300);
    p.kv_len = between(state, 1, 500);
    p.q_offset = between(state, 0, 1) ? between(state, 0, 600) : std::max(0, p.kv_len - p.query_len);
    p.window_tokens = between(state, 0, 1) ? between(state, 1, 300) : 0;
    p.sink_tokens = p.window_tokens ? between(state, 0, 150) : 0;
    const int rows = between(state, 0, 1) ? 128 : 192, block = between(state, 0, 1) ? 128 : 64;
    for (int first = 0; first < p.query_len; first += rows) {
      const BlockRange range = visible_blocks(first, rows, p.q_offset, p.kv_len, p.sink_tokens, p.window_tokens, block);
      std::map<int, int> visits;
      for (int i = 0; i < range.count(); i++) visits[range.block(i)]++;
      std::set<int> needed;
      for (int row = first; row < std::min(first + rows, p.query_len); row++)
        for (int column = 0; column < p.kv_len; column++)
          if (prefill_visible(p, 0, row, column)) needed.insert(column / block);
      for (int b : needed) covered &= visits.count(b) == 1;
      for (auto& [b, count] : visits) once &= count == 1 && b >= 0 && b * block < p.kv_len;
      // Rows past the end of the queries may ask for blocks that no real row needs.
      if (first + rows <= p.query_len && p.window_tokens == 0) lean &= visits.size() == needed.size();
    }
  }
  report("block ranges cover every visible key", covered);
  report("no block is visited twice or past the end", once);
  report("dense tiles visit nothing else", lean);
  bool bijective = true;
  for (int row_blocks : {1, 2, 7})
    for (int kv_heads : {1, 3, 8})
      for (int group : {1, 4, 7})
        for (int section = 1; section <= kv_heads; section++) {
          std::set<std::pair<int, int>> tiles;
          const int total = row_blocks * kv_heads * group;
          for (int i = 0; i < total; i++) {
            const PrefillTile tile = prefill_tile(i, row_blocks, kv_heads, group, section);
            if (tile.row_block >= 0 && tile.row_block < row_blocks && tile.query_head < kv_heads * group)
              tiles.insert({tile.row_block, tile.query_head});
          }
          bijective &= static_cast<int>(tiles.size()) == total;
        }
  report("the prefill grid visits every tile once", bijective);
  std::set<int64_t> drawn;
  for (int round = 0; round < 5; round++)
    for (int block = 0; block < 132; block++) drawn.insert(snake_index(round, block, 132));
  report("a persistent grid draws every tile once", drawn.size() == 660 && *drawn.rbegin() == 659);
}

void check_partition() {
  uint64_t state = 2;
  bool exact = true, balanced = true, owned = true;
  for (int trial = 0; trial < 2000; trial++) {
    const int segments = between(state, 1, 200), parts = between(state, 1, 140);
    const int longest = between(state, 0, 3) == 0 ? 20000 : 300;
    std::vector<int> lens(segments);
    for (auto& len : lens) len = between(state, 0, 3) == 0 ? 0 : between(state, 0, longest);
    auto slots = [&](int segment) { return lens[segment]; };
    DecodeShare share{};
    std::vector<int> begin(segments);
    for (int s = 0; s < segments; s++) {
      begin[s] = share.total;
      share.total += segment_tiles(lens[s]);
    }
    share.payload = ceil_div(share.total, parts);
    std::vector<std::vector<int>> seen(segments);
    std::vector<std::set<int64_t>> units(segments);
    std::set<int64_t> used;
    for (int part = 0; part < parts; part++) {
      const int64_t first = share.payload * part;
      share.segment = -1;
      for (int s = 0; s < segments; s++)
        if (first < share.total && first >= begin[s] && first < begin[s] + segment_tiles(lens[s])) {
          share.segment = s;
          share.segment_begin = begin[s];
          share.slots = lens[s];
        }
      DecodeWalk walk(slots, share, part);
      DecodePiece piece;
      int64_t payload = 0;
      while (walk.next(piece)) {
        payload += piece.last_tile - piece.first_tile;
        for (int tile = piece.first_tile; tile < piece.last_tile; tile++) seen[piece.segment].push_back(tile);
        const DecodeUnits here(piece, share.payload);
        const int64_t unit = DecodeUnits::unit_of(part, piece.first_tile == 0);
        if (here.arrivals > 1) {
          // Of the shared segments of a part, no two may use one unit.
          owned &= used.insert(unit).second;
          units[piece.segment].insert(unit);
        }
      }
      balanced &= payload <= share.payload;
    }
    for (int s = 0; s < segments; s++) {
      std::sort(seen[s].begin(), seen[s].end());
      exact &= static_cast<int>(seen[s].size()) == segment_tiles(lens[s]);
      for (size_t i = 0; i < seen[s].size(); i++) exact &= seen[s][i] == static_cast<int>(i);
      DecodePiece whole{s, 0, 0, lens[s], begin[s]};
      const DecodeUnits read(whole, share.payload);
      std::set<int64_t> expected;
      for (int i = 0; read.arrivals > 1 && i < read.arrivals; i++) expected.insert(read.unit(i));
      owned &= expected == units[s];
    }
  }
  report("decode parts cover every tile once", exact);
  report("no decode part exceeds the payload", balanced);
  report("the merge reads what the parts wrote", owned);
}

/// What a producer would fetch for every kind of list, against the definition.
void check_selection() {
  bool exact = true;
  std::mt19937 random(5);
  for (int round = 0; round < 20000; round++) {
    const int page = round % 4 == 0 ? 1 : 8 << (round % 4), slots = static_cast<int>(random() % 200), reads_own = round / 4 % 2;
    std::vector<int32_t> entries;
    const unsigned of = 1 + random() % 4;
    for (int i = 0; i < slots / page + 3; i++)
      if (random() % of == 0) entries.push_back(i);
    const int len = reads_own && random() % 7 == 0 ? -1 : static_cast<int>(entries.size());
    std::vector<int> want;
    for (int slot = 0; slot < slots; slot++) {
      const bool listed = len < 0 || std::find(entries.begin(), entries.end(), slot / page) != entries.end();
      if (listed || (reads_own && len > 0 && slot == slots - 1)) want.push_back(slot);
    }
    entries.push_back(0);
    const DecodeSelection selection{&slots, entries.data(), &len, static_cast<int32_t>(entries.size()), 1,
                                    page == 1 ? WN_SELECT_TOKENS : WN_SELECT_PAGES, page, reads_own};
    const int visited = selection(0);
    std::vector<int> got;
    for (int i = 0; i < (visited + page - 1) / page; i++) {
      const int first = selection.first_slot(entries.data(), i, visited, slots);
      for (int slot = first; slot < std::min(first + page, slots); slot++) got.push_back(slot);
    }
    exact &= !reads_own || visited == static_cast<int>(want.size());
    exact &= got == want;
  }
  report("selected slots are what lists mean, page by page", exact);
}

void check_keys() {
  const float values[] = {-INFINITY, -3e38f, -1.0f, -1e-40f, 0.0f, 1e-40f, 1.0f, 3e38f, INFINITY};
  auto key = [](float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return radix_key(bits);
  };
  bool ordered = key(-0.0f) == key(0.0f) && key(NAN) < key(-INFINITY) && key(-NAN) == key(NAN) && key(INFINITY) < ~0u;
  for (size_t i = 1; i < std::size(values); i++) ordered &= key(values[i - 1]) < key(values[i]);
  report("radix keys keep the order of floats", ordered);
  const uint16_t not_a_number = to_bf16(NAN);
  const bool rounds =
      to_bf16(1.00390625) == 0x3f80 && to_bf16(1.01171875) == 0x3f82 && std::isnan(bf16_value(&not_a_number, 0));
  report("bf16 rounds half to even", rounds);
}

}  // namespace
}  // namespace winnow::test

int main() {
  using namespace winnow::test;
  check_tiles();
  check_blocks();
  check_partition();
  check_selection();
  check_keys();
  std::printf("{\"summary\":{\"failed\":%d}}\n", failures);
  return failures ? 1 : 0;
}
