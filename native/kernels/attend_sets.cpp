#include "attend_sets.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attend_sets_tile.h"
#include "pool.h"

namespace winnow {

Status CheckAttendSets(const Context& context, const AttendSetsParams& params);

namespace {

/// Rows of a tile whose queries read the same slots: packing a key block is then a small part of using it.
constexpr int32_t kUniformRows = 384;
/// Tokens of a tile whose queries differ: few, since every row is multiplied with what any of them sees.
constexpr int32_t kMixedTokens = 64;

std::vector<SetUnit> UnitsOf(const AttendSetsParams& p, const LayerGeometry& shape) {
  const int32_t group = p.num_query_heads / shape.num_kv_heads;
  bool by_query_head = p.bias != nullptr && p.bias_heads > shape.num_kv_heads;
  const auto look = [&](const Lists& lists) {
    if (lists.values != nullptr && lists.per_row > shape.num_kv_heads) by_query_head = true;
  };
  for (int32_t i = 0; i < p.num_sets; i++) {
    look(p.sets[i].lists);
    look(p.sets[i].diagonals);
  }
  look(p.queries);
  std::vector<uint8_t> active(p.num_query_heads, p.heads == nullptr ? 1 : 0);
  for (int32_t i = 0; i < p.num_heads; i++) active[p.heads[i]] = 1;
  std::vector<SetUnit> units;
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const HeadCache& head = p.caches[r]->head(p.layer, h);
      const int32_t first_new = p.visible == Visible::kEvery ? head.len : head.len - p.query_len;
      // Runs of active heads of the group, or single heads.
      for (int32_t q = h * group; q < (h + 1) * group;) {
        int32_t end = q + 1;
        while (!by_query_head && end < (h + 1) * group && active[end] == active[q]) end++;
        if (active[q] != 0) units.push_back({int32_t(units.size()), r, h, q, end - q, &head, first_new});
        q = end;
      }
    }
  }
  return units;
}

struct Tile {
  int32_t unit;
  int32_t first;  ///< among the unit's tokens
  int32_t count;
};

/// The list of tokens of a unit that attend, or null where all do.
const int32_t* TokensOf(const AttendSetsParams& p, const SetUnit& unit, int32_t* count) {
  const Lists& lists = p.queries;
  *count = p.query_len;
  if (lists.values == nullptr) return nullptr;
  const int32_t list = lists.per_row == 1 ? 0 : lists.per_row == p.num_query_heads ? unit.first_head : unit.kv_head;
  const int64_t at = lists.At(unit.row, list, 0);
  if (lists.lens[at] < 0) return nullptr;
  *count = lists.lens[at];
  return lists.values + at * lists.max_len;
}

/// Tokens [first, last) of those that attend.
void ListTokens(const AttendSetsParams& p, const SetUnit& unit, int32_t first, int32_t last, std::vector<int32_t>& tokens) {
  int32_t count = 0;
  const int32_t* listed = TokensOf(p, unit, &count);
  tokens.clear();
  for (int32_t i = first; i < last; i++) tokens.push_back(listed == nullptr ? i : listed[i]);
}

/// Cuts a unit's tokens so that the queries of a tile share their lists.
void CutTiles(const AttendSetsParams& p, const SetUnit& unit, int32_t threads, std::vector<Tile>& tiles) {
  int32_t total = 0;
  const int32_t* listed = TokensOf(p, unit, &total);
  bool is_mixed = p.visible == Visible::kTree || p.visible == Visible::kSegments || p.positions == PositionRule::kClamp;
  for (int32_t i = 0; i < p.num_sets; i++) {
    is_mixed = is_mixed || p.sets[i].kind == SetKind::kWindow || p.sets[i].kind == SetKind::kVerticalSlash;
  }
  int32_t most = is_mixed ? kMixedTokens : std::max(kGroupRows, kUniformRows / unit.num_heads / kGroupRows * kGroupRows);
  // Enough tiles for the threads; where queries differ, the bits of one depend on its tile, which must not depend on threads.
  while (!is_mixed && most > 4 * kGroupRows && total / most < threads) most = most / 2 / kGroupRows * kGroupRows;
  const auto belong_together = [&](int32_t a, int32_t b) {
    if (is_mixed && (unit.first_new + a) / kMixedTokens != (unit.first_new + b) / kMixedTokens) return false;
    for (int32_t i = 0; i < p.num_sets; i++) {
      const int32_t block = p.sets[i].query_block;
      if (block > 0 && a / block != b / block) return false;
    }
    return true;
  };
  for (int32_t first = 0; first < total;) {
    int32_t end = first + 1;
    const auto token = [&](int32_t i) { return listed == nullptr ? i : listed[i]; };
    while (end < total && end - first < most && belong_together(token(first), token(end))) end++;
    tiles.push_back({unit.index, first, end - first});
    first = end;
  }
}

void CountReads(const SetsRun& run, const std::vector<SetUnit>& units) {
  const AttendSetsParams& p = run.p;
  const int32_t heads = run.shape.num_kv_heads;
  if (p.counts != nullptr) std::fill(p.counts, p.counts + int64_t{p.rows} * heads, 0);
  if (p.seen != nullptr) std::memset(p.seen, 0, static_cast<size_t>(int64_t{p.rows} * heads * p.seen_width));
  for (const SetUnit& unit : units) {
    const Bits& read = run.read[unit.index];
    const int64_t at = int64_t{unit.row} * heads + unit.kv_head;
    if (p.counts != nullptr) p.counts[at] += CountBits(read.data(), static_cast<int32_t>(read.size()));
    for (int32_t s = 0; p.seen != nullptr && s < unit.head->len; s++) {
      if (HasBit(read.data(), s)) p.seen[at * p.seen_width + s] = 1;
    }
  }
}

/// Rows that no tile writes.
void ClearOutputs(const SetsRun& run) {
  const AttendSetsParams& p = run.p;
  const int64_t rows = int64_t{p.rows} * p.query_len * p.num_query_heads;
  std::memset(p.out, 0, static_cast<size_t>(rows * run.shape.head_dim_v * (p.out_f32 ? 4 : run.bytes)));
  if (p.lse != nullptr) std::fill(p.lse, p.lse + rows, -INFINITY);
}

}  // namespace

Status AttendSets(const Context& context, const AttendSetsParams& p, int64_t* pairs) {
  if (pairs != nullptr) *pairs = 0;
  if (p.rows == 0 || p.query_len == 0) return Status();
  WINNOW_TRY(CheckAttendSets(context, p));
  const DType element = p.caches[0]->layout().element;
  SetsRun run{context, p, p.caches[0]->geometry(p.layer), AttendFor(context.isa, element == DType::kBf16), element,
          static_cast<int64_t>(SizeOf(element))};
  const std::vector<SetUnit> units = UnitsOf(p, run.shape);
  if (p.counts != nullptr || p.seen != nullptr) {
    for (const SetUnit& unit : units) run.read.emplace_back(WordsOf(unit.head->len));
  }
  if (p.heads != nullptr || p.queries.values != nullptr) ClearOutputs(run);
  Pool& pool = Pool::Instance();
  std::vector<Tile> tiles;
  for (const SetUnit& unit : units) CutTiles(p, unit, pool.threads(), tiles);
  // The longest tiles are a unit's last ones: they go first, so that the threads end together.
  pool.ParallelFor(static_cast<int64_t>(tiles.size()), [&](int64_t chunk) {
    const Tile& tile = tiles[tiles.size() - 1 - static_cast<size_t>(chunk)];
    static thread_local std::vector<int32_t> mine;
    ListTokens(p, units[tile.unit], tile.first, tile.first + tile.count, mine);
    if (!AttendTokens(run, units[tile.unit], mine)) run.has_memory = false;
  });
  if (run.is_uneven) {
    return Status::Fail(Code::kUnsupported, "attendSets.positions", "one set for all queries of a step with compact positions",
                        "sets that differ by query");
  }
  if (!run.has_memory) return Status::Fail(Code::kOutOfMemory, "attendSets", "memory for scratch", "none");
  if (!run.read.empty()) CountReads(run, units);
  if (pairs != nullptr) *pairs = run.pairs;
  return Status();
}

}  // namespace winnow
