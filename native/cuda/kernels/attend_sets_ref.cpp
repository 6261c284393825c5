#include <algorithm>
#include <cmath>

#include "attention_ref.h"
#include "reference.h"

namespace winnow {
namespace {

/// One query of one head, and what the sets mean for it.
struct Query {
  const WnAttendSetsParams& p;
  int row, token, head;

  int kv_head() const { return head / (p.num_query_heads / p.cache.num_kv_heads); }
  int64_t segment() const { return int64_t{row} * p.cache.num_kv_heads + kv_head(); }
  int length() const { return p.cache.kv_lens[segment()]; }
  int first_new() const { return p.visible == WN_VISIBLE_EVERY ? length() : length() - p.query_len; }
  int own() const { return first_new() + token; }
  bool has(int slot) const { return p.cache.page_table[segment() * p.cache.page_table_stride + slot / 64] >= 0; }
  int64_t arena(int slot) const { return arena_slot(p.cache, segment(), slot); }
  int position(int slot) const { return p.cache.positions[arena(slot)]; }

  int64_t index_of(const WnKeyLists& lists, int block) const {
    const int list = lists.per_row == 1 ? 0 : lists.per_row == p.cache.num_kv_heads ? kv_head() : head;
    return (int64_t{row} * lists.per_row + list) * lists.blocks + block;
  }
  bool names(const WnKeyLists& lists, int block, int value) const {
    const int64_t at = index_of(lists, block);
    if (lists.lens[at] < 0) return true;
    const int32_t* begin = lists.values + at * lists.max_len;
    return std::find(begin, begin + lists.lens[at], value) != begin + lists.lens[at];
  }
  bool in_set(const WnKeySet& set, int slot) const {
    const int block = set.query_block ? token / set.query_block : 0;
    switch (set.kind) {
      case WN_SET_ALL: return true;
      case WN_SET_WINDOW: return slot < set.sink || (slot > own() - set.recent && slot <= own());
      case WN_SET_VERTICAL_SLASH:
        return names(set.lists, block, slot) || (slot <= own() && names(set.diagonals, 0, own() - slot));
      default:
        if (set.with_new && slot >= first_new() && set.lists.lens[index_of(set.lists, block)] != 0) return true;
        return names(set.lists, block, set.kind == WN_SET_PAGES ? slot / set.page_size : slot);
    }
  }
  bool may_see(int slot) const {
    if (!has(slot) || (p.old_only && slot >= first_new())) return false;
    if (p.visible == WN_VISIBLE_CAUSAL) return slot <= own();
    if (p.visible == WN_VISIBLE_TREE) {
      if (slot < first_new()) return true;
      for (int t = token; t >= 0; t = p.parents[int64_t{row} * p.query_len + t])
        if (slot == first_new() + t) return true;
      return false;
    }
    if (p.visible == WN_VISIBLE_SEGMENTS) {
      const auto of = [&](int s) {
        const int at = position(s);
        return at >= 0 && at < p.num_segments ? p.segments[at] : -1;
      };
      return slot <= own() && (of(slot) < 0 || of(own()) < 0 || of(slot) == of(own()));
    }
    return true;
  }
  bool attends() const {
    return (p.heads[head / 32] >> (head % 32) & 1) && (!p.queries.values || names(p.queries, 0, token));
  }
  std::vector<int> slots() const {
    std::vector<int> named;
    for (int slot = 0; attends() && slot < length(); slot++) {
      const bool is_named = std::any_of(p.sets, p.sets + p.num_sets, [&](const WnKeySet& set) { return in_set(set, slot); });
      if (is_named && may_see(slot)) named.push_back(slot);
    }
    return named;
  }
  double bias(int slot) const {
    if (!p.bias) return 0;
    const int index = p.bias_heads == 1 ? 0 : p.bias_heads == p.cache.num_kv_heads ? kv_head() : head;
    const int64_t line = int64_t{row} * p.bias_heads + index;
    if (!p.bias_by_entry) return slot < p.bias_width ? p.bias[line * p.bias_width + slot] : 0;
    const WnKeyLists& lists = p.sets[0].lists;
    for (int i = 0; i < lists.lens[line]; i++)
      if (lists.values[line * lists.max_len + i] == slot) return p.bias[line * p.bias_width + i];
    return 0;
  }
  /// x turned from one position to another (from < 0: it never was).
  void turn(std::vector<double>& x, int from, int to) const {
    const int half = p.rope_dims / 2;
    for (int i = 0; i < half && from != to; i++) {
      const float* target = p.cos_sin + int64_t{to} * p.rope_dims;
      double angle = std::atan2(target[half + i], target[i]), length = std::hypot(target[half + i], target[i]);
      if (from >= 0) {
        const float* source = p.cos_sin + int64_t{from} * p.rope_dims;
        angle -= std::atan2(source[half + i], source[i]);
        length /= std::hypot(source[half + i], source[i]);
      }
      const double a = x[i], b = x[half + i];
      x[i] = length * (a * std::cos(angle) - b * std::sin(angle));
      x[half + i] = length * (b * std::cos(angle) + a * std::sin(angle));
    }
  }
  double dot(int slot, int entry, int old) const {
    const int dim = p.cache.head_dim;
    const int64_t query = ((int64_t{row} * p.query_len + token) * p.num_query_heads + head) * dim;
    std::vector<double> k(dim), q(dim);
    for (int d = 0; d < dim; d++) {
      k[d] = bf16_value(p.cache.pages, arena_element(p.cache, arena(slot), 0) + d);
      q[d] = bf16_value(p.q, query + d);
    }
    if (p.positions != WN_POSITIONS_KEEP || !p.keys_rotated) {
      const int place = position(slot), own_place = position(own()), from = p.keys_rotated ? place : -1;
      if (p.positions == WN_POSITIONS_COMPACT) {
        turn(k, from, entry);
        turn(q, own_place, old + token);
      } else if (p.positions == WN_POSITIONS_CLAMP && own_place - place > p.clamp) {
        turn(k, from, 0);
        turn(q, own_place, p.clamp);
      } else {
        turn(k, from, place);
      }
    }
    double sum = 0;
    for (int d = 0; d < dim; d++) sum += q[d] * k[d];
    return sum;
  }
};

/// Entries read by the queries of some heads of a KV head that share their lists.
void count_entries(const WnAttendSetsParams& p, int row, int first, int end, std::vector<uint8_t>& read) {
  for (int head = first; head < end; head++)
    for (int token = 0; token < p.query_len; token++)
      for (const int slot : Query{p, row, token, head}.slots()) read[static_cast<size_t>(slot)] = 1;
}

void count_all(const WnAttendSetsParams& p) {
  const int kv_heads = p.cache.num_kv_heads, group = p.num_query_heads / kv_heads;
  bool by_query_head = p.bias && p.bias_heads > kv_heads;
  const auto look = [&](const WnKeyLists& lists) { by_query_head = by_query_head || (lists.values && lists.per_row > kv_heads); };
  for (int i = 0; i < p.num_sets; i++) {
    look(p.sets[i].lists);
    look(p.sets[i].diagonals);
  }
  look(p.queries);
  const auto attends = [&](int head) { return p.heads[head / 32] >> (head % 32) & 1; };
  for (int row = 0; row < p.cache.rows; row++)
    for (int kv = 0; kv < kv_heads; kv++) {
      const int64_t at = int64_t{row} * kv_heads + kv;
      int32_t total = 0;
      for (int head = kv * group; head < (kv + 1) * group;) {
        int end = head + 1;
        while (!by_query_head && end < (kv + 1) * group && attends(end) == attends(head)) end++;
        std::vector<uint8_t> read(static_cast<size_t>(p.cache.kv_lens[at]));
        count_entries(p, row, head, end, read);
        for (size_t slot = 0; slot < read.size(); slot++) {
          total += read[slot];
          if (p.seen && read[slot]) p.seen[at * p.seen_width + static_cast<int64_t>(slot)] = 1;
        }
        head = end;
      }
      if (p.counts) p.counts[at] = total;
    }
}

bool is_good(const WnAttendSetsParams& p, const WnKeyLists& lists, int unit, int limit) {
  const int kv_heads = p.cache.num_kv_heads;
  for (int64_t at = 0; at < int64_t{p.cache.rows} * lists.per_row * lists.blocks; at++) {
    const int row = static_cast<int>(at / lists.blocks / lists.per_row), list = static_cast<int>(at / lists.blocks % lists.per_row);
    int slots = limit > 0 ? limit : INT32_MAX;
    for (int h = 0; h < kv_heads && limit == 0; h++) {
      const int reader = lists.per_row == kv_heads ? list : list / (p.num_query_heads / kv_heads);
      if (lists.per_row == 1 || h == reader) slots = std::min(slots, p.cache.kv_lens[row * kv_heads + h]);
    }
    if (lists.lens[at] < -1 || lists.lens[at] > lists.max_len) return false;
    for (int i = 0; i < lists.lens[at]; i++) {
      const int32_t* value = lists.values + at * lists.max_len + i;
      if (*value < 0 || *value >= (slots + unit - 1) / unit || (i > 0 && value[0] <= value[-1])) return false;
    }
  }
  return true;
}

/// WN_SETS_* of lists and tree; what is wrong with them is not attended.
int faults(const WnAttendSetsParams& p) {
  bool good = !p.queries.values || is_good(p, p.queries, 1, p.query_len);
  for (int i = 0; i < p.num_sets; i++) {
    const WnKeySet& set = p.sets[i];
    if (set.kind >= WN_SET_SLOTS) good = good && is_good(p, set.lists, set.kind == WN_SET_PAGES ? set.page_size : 1, 0);
    if (set.kind == WN_SET_VERTICAL_SLASH) good = good && is_good(p, set.diagonals, 1, 0);
  }
  int found = good ? 0 : WN_SETS_BAD_LIST;
  for (int64_t i = 0; p.visible == WN_VISIBLE_TREE && i < int64_t{p.cache.rows} * p.query_len; i++)
    if (p.parents[i] < -1 || p.parents[i] >= i % p.query_len) found |= WN_SETS_BAD_TREE;
  const bool turns = p.positions != WN_POSITIONS_KEEP || !p.keys_rotated;
  const int64_t segments = int64_t{p.cache.rows} * p.cache.num_kv_heads;
  for (int64_t s = 0; turns && s < segments; s++)
    for (int slot = 0; slot < p.cache.kv_lens[s]; slot++) {
      const int at = p.cache.positions[arena_slot(p.cache, s, slot)];
      if (at < 0 || at >= p.max_positions) found |= WN_SETS_BAD_POSITION;
    }
  return found;
}

/// Compact positions: every query of a head reads the head's one set up to where it may see.
bool is_even(const WnAttendSetsParams& p) {
  for (int64_t i = 0; i < int64_t{p.cache.rows} * p.num_query_heads; i++) {
    Query query{p, static_cast<int>(i / p.num_query_heads), 0, static_cast<int>(i % p.num_query_heads)};
    std::vector<std::vector<int>> own;
    std::vector<uint8_t> any(static_cast<size_t>(query.length()));
    for (query.token = 0; query.token < p.query_len; query.token++) {
      own.push_back(query.slots());
      for (const int slot : own.back()) any[static_cast<size_t>(slot)] = 1;
    }
    for (query.token = 0; query.token < p.query_len; query.token++) {
      const auto& seen = own[static_cast<size_t>(query.token)];
      const int end = p.old_only ? query.first_new() : p.visible == WN_VISIBLE_ALL ? query.length() : query.own() + 1;
      if (query.attends() && std::count(any.begin(), any.begin() + end, 1) != static_cast<int64_t>(seen.size())) return false;
    }
  }
  return true;
}

}  // namespace

void attend_sets_ref(const WnAttendSetsParams& p, double* out, double* lse) {
  const int dim = p.cache.head_dim;
  const int64_t segments = int64_t{p.cache.rows} * p.cache.num_kv_heads;
  if (p.seen) std::fill(p.seen, p.seen + segments * p.seen_width, 0);
  p.results[0] = 0;
  p.results[1] = faults(p);
  if (!p.results[1] && p.positions == WN_POSITIONS_COMPACT && !is_even(p)) p.results[1] = WN_SETS_UNEVEN;
  if (p.results[1]) return;
  const int64_t queries = int64_t{p.cache.rows} * p.query_len * p.num_query_heads;
  for (int64_t i = 0; i < queries; i++) {
    const Query query{p, static_cast<int>(i / p.num_query_heads / p.query_len), static_cast<int>(i / p.num_query_heads % p.query_len),
                      static_cast<int>(i % p.num_query_heads)};
    const std::vector<int> slots = query.slots();
    p.results[0] += static_cast<int64_t>(slots.size());
    int old = 0;
    while (old < static_cast<int>(slots.size()) && slots[static_cast<size_t>(old)] < query.first_new()) old++;
    const bool slides = p.sliding_window > 0 && p.visible != WN_VISIBLE_EVERY;
    const auto score = [&](int j) {
      const int slot = slots[static_cast<size_t>(j)];
      if (slides && query.position(slot) <= query.position(query.own()) - p.sliding_window) return -INFINITY + 0.0;
      double x = query.dot(slot, j, old) * p.softmax_scale;
      if (p.soft_cap > 0) x = p.soft_cap * std::tanh(x / p.soft_cap);
      return x + (p.cache.log_bias ? p.cache.log_bias[query.arena(slot)] : 0) + query.bias(slot);
    };
    const auto value = [&](int j, int d) {
      return bf16_value(p.cache.pages, arena_element(p.cache, query.arena(slots[static_cast<size_t>(j)]), 1) + d);
    };
    attend(static_cast<int>(slots.size()), dim, score, value, out + i * dim, lse + i);
  }
  if (p.counts || p.seen) count_all(p);
}

}  // namespace winnow
