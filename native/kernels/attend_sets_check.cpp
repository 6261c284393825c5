#include <algorithm>

#include "attend_sets.h"

namespace winnow {
namespace {

Status CheckLists(const AttendSetsParams& p, const Lists& lists, int32_t num_kv_heads, int32_t page_size, bool below_query_len,
                  const char* name) {
  const std::string where = std::string("attendSets.") + name;
  if (lists.per_row != 1 && lists.per_row != num_kv_heads && lists.per_row != p.num_query_heads) {
    return Status::Shape(where, "1, numKvHeads or numQueryHeads lists a row", std::to_string(lists.per_row));
  }
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t l = 0; l < lists.per_row; l++) {
      int32_t shortest = INT32_MAX;
      for (int32_t h = 0; h < num_kv_heads; h++) {
        const int32_t reader = lists.per_row == num_kv_heads ? l : l / (p.num_query_heads / num_kv_heads);
        if (lists.per_row == 1 || h == reader) shortest = std::min(shortest, p.caches[r]->head(p.layer, h).len);
      }
      const int32_t most = below_query_len ? p.query_len : page_size == 0 ? shortest : (shortest + page_size - 1) / page_size;
      for (int32_t b = 0; b < lists.blocks; b++) {
        const int64_t at = lists.At(r, l, b);
        const int32_t len = lists.lens[at];
        const std::string which = "row " + std::to_string(r) + ", list " + std::to_string(l);
        if (len < -1 || len > lists.max_len) {
          return Status::Shape(where, "lens of -1 to " + std::to_string(lists.max_len) + " (" + which + ")", std::to_string(len));
        }
        int32_t least = 0;
        for (int32_t i = 0; i < len; i++) {
          const int32_t value = lists.values[at * lists.max_len + i];
          if (value < least || value >= most) {
            return Status::Shape(where, "ascending values below " + std::to_string(most) + " (" + which + ")",
                                 std::to_string(value) + " at " + std::to_string(i));
          }
          least = value + 1;
        }
      }
    }
  }
  return Status();
}

Status CheckSet(const AttendSetsParams& p, const KeySet& set, int32_t num_kv_heads) {
  if (set.kind == SetKind::kWindow && (set.sink < 0 || set.recent < 0)) {
    return Status::Shape("attendSets.sets", "windows of 0 or more slots", std::to_string(std::min(set.sink, set.recent)));
  }
  if (set.kind == SetKind::kAll || set.kind == SetKind::kWindow) return Status();
  const bool is_pages = set.kind == SetKind::kPages;
  if (is_pages && set.page_size < 1) {
    return Status::Shape("attendSets.sets", "pages of at least one slot", std::to_string(set.page_size));
  }
  const int32_t blocks = set.query_block == 0 ? 1 : (p.query_len + set.query_block - 1) / set.query_block;
  if (set.query_block < 0 || set.lists.blocks != blocks) {
    return Status::Shape("attendSets.sets", std::to_string(blocks) + " lists, one for each query block",
                         std::to_string(set.lists.blocks));
  }
  WINNOW_TRY(CheckLists(p, set.lists, num_kv_heads, is_pages ? set.page_size : 0, false, "sets"));
  if (set.kind == SetKind::kVerticalSlash) return CheckLists(p, set.diagonals, num_kv_heads, 0, false, "sets");
  return Status();
}

Status CheckTree(const AttendSetsParams& p) {
  for (int64_t i = 0; i < int64_t{p.rows} * p.query_len; i++) {
    const int32_t token = static_cast<int32_t>(i % p.query_len);
    if (p.parents[i] < -1 || p.parents[i] >= token) {
      return Status::Shape("attendSets.parents", "-1 or an earlier token than " + std::to_string(token),
                           std::to_string(p.parents[i]));
    }
  }
  return Status();
}

Status CheckPositions(const AttendSetsParams& p, const LayerGeometry& shape) {
  if (p.positions == PositionRule::kKeep && p.keys_rotated) return Status();
  if (p.cos_sin == nullptr || p.rope_dims < 2 || p.rope_dims % 2 != 0 || p.rope_dims > shape.head_dim) {
    return Status::Shape("attendSets.cosSin", "a rotary table of an even width up to " + std::to_string(shape.head_dim),
                         std::to_string(p.rope_dims));
  }
  if (p.visible == Visible::kEvery || p.visible == Visible::kTree) {
    return Status::Fail(Code::kUnsupported, "attendSets.positions", "keep where queries have no place of their own in a row",
                        "another rule");
  }
  int64_t largest = p.positions == PositionRule::kClamp ? p.clamp : 0;
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const HeadCache& head = p.caches[r]->head(p.layer, h);
      for (int32_t s = 0; s < head.len; s++) {
        const int32_t position = head.pages[s / kPageSize]->positions[s % kPageSize];
        if (position < 0) return Status::Shape("attendSets.caches", "positions of 0 or more", std::to_string(position));
        largest = std::max<int64_t>(largest, position);
      }
    }
  }
  if (p.clamp < 0 || largest >= p.max_positions) {
    return Status::Shape("attendSets.cosSin", "a row for position " + std::to_string(largest), std::to_string(p.max_positions));
  }
  return Status();
}

}  // namespace

Status CheckAttendSets(const Context& context, const AttendSetsParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  if (p.num_query_heads < 1 || p.num_query_heads % shape.num_kv_heads != 0) {
    return Status::Shape("attendSets.q", "query heads in multiples of numKvHeads (" + std::to_string(shape.num_kv_heads) + ")",
                         std::to_string(p.num_query_heads));
  }
  for (int32_t r = 0; r < p.rows; r++) {
    if (p.caches[r]->layout().element != context.act()) {
      return Status::Shape("attendSets.caches", std::string("caches of ") + NameOf(context.act()),
                           NameOf(p.caches[r]->layout().element));
    }
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const int32_t len = p.caches[r]->head(p.layer, h).len;
      const int32_t least = p.visible == Visible::kEvery ? 1 : p.query_len;
      if (len < least || (p.seen != nullptr && len > p.seen_width)) {
        return Status::Shape("attendSets.caches", "at least " + std::to_string(least) + " slots in a head, and room in seen",
                             std::to_string(len));
      }
    }
  }
  for (int32_t i = 0; i < p.num_heads; i++) {
    if (p.heads[i] < (i == 0 ? 0 : p.heads[i - 1] + 1) || p.heads[i] >= p.num_query_heads) {
      return Status::Shape("attendSets.heads", "ascending query heads below " + std::to_string(p.num_query_heads),
                           std::to_string(p.heads[i]));
    }
  }
  for (int32_t i = 0; i < p.num_sets; i++) WINNOW_TRY(CheckSet(p, p.sets[i], shape.num_kv_heads));
  if (p.queries.values != nullptr) WINNOW_TRY(CheckLists(p, p.queries, shape.num_kv_heads, 0, true, "queries"));
  if (p.visible == Visible::kTree) WINNOW_TRY(CheckTree(p));
  if (p.bias_by_entry && (p.num_sets != 1 || p.sets[0].kind != SetKind::kSlots || p.sets[0].lists.per_row != p.bias_heads ||
                          p.sets[0].lists.blocks != 1 || p.sets[0].lists.max_len != p.bias_width)) {
    return Status::Shape("attendSets.bias", "one set of listed slots, with a bias for each entry", "another set");
  }
  return CheckPositions(p, shape);
}

}  // namespace winnow
