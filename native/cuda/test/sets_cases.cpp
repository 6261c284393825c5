#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

/// What narrows the keys of a case; everything that is not named is off.
struct SetsCase {
  std::string name;
  int head_dim = 64, group_size = 3, num_kv_heads = 3, rows = 1, query_len = 1;
  std::vector<int32_t> lens = {};  ///< rows * num_kv_heads; shorter: repeated
  std::vector<int> kinds = {WN_SET_ALL};
  int scope = 1;  ///< lists a row: 0 one, 1 by KV head, 2 by query head
  int page_size = 0, query_block = 0;
  bool with_new = false;
  double density = 0.3;
  double diagonal_density = 0;  ///< 0: as the columns
  int visible = WN_VISIBLE_CAUSAL, positions = WN_POSITIONS_KEEP;
  bool keys_rotated = true, old_only = false, some_heads = false, some_queries = false, gives_back = false, has_log_bias = false;
  int bias = 0;  ///< 1 by slot and query head, 2 by entry, 3 by slot for all
  float soft_cap = 0;
  int sliding_window = 0;
  bool out_f32 = false, is_planned = false;
};

/// Lists drawn at random, one of nothing, one of everything; entries of the shortest head that reads them.
struct Drawn {
  std::vector<int32_t> values, lens;
  WnKeyLists lists{};

  void draw(uint32_t seed, const SetsCase& c, const std::vector<int32_t>& head_lens, int per_row, int blocks, int unit, int limit) {
    const auto slots_of = [&](int list) {
      const int row = list / blocks / per_row, reader = list / blocks % per_row;
      int slots = limit > 0 ? limit : INT32_MAX;
      for (int h = 0; h < c.num_kv_heads && limit == 0; h++)
        if (per_row == 1 || h == (per_row == c.num_kv_heads ? reader : reader / c.group_size))
          slots = std::min(slots, head_lens[row * c.num_kv_heads + h]);
      return slots;
    };
    int longest = 1;
    for (int i = 0; i < c.rows * per_row * blocks; i++) longest = std::max(longest, (slots_of(i) + unit - 1) / unit);
    lists = {nullptr, nullptr, per_row, blocks, longest};
    for (int i = 0; i < c.rows * per_row * blocks; i++) {
      std::vector<int32_t> chosen;
      for (int j = 0; j < (slots_of(i) + unit - 1) / unit; j++)
        if (uniform(seed, static_cast<uint64_t>(i) * 1000003 + j) < c.density) chosen.push_back(j);
      lens.push_back(i == 1 ? 0 : i == 2 ? -1 : static_cast<int32_t>(chosen.size()));
      chosen.resize(longest, -7);
      values.insert(values.end(), chosen.begin(), chosen.end());
    }
    lists.values = values.data();
    lists.lens = lens.data();
  }
  WnKeyLists on(Device& device) const {
    WnKeyLists copy = lists;
    copy.values = device.upload(values);
    copy.lens = device.upload(lens);
    return copy;
  }
};

void run_sets(const SetsCase& c, Outcome& outcome) {
  const int heads = c.num_kv_heads * c.group_size, segments = c.rows * c.num_kv_heads;
  const int per_row = c.scope == 0 ? 1 : c.scope == 1 ? c.num_kv_heads : heads;
  std::vector<int32_t> lens;
  for (int s = 0; s < segments; s++) lens.push_back(c.lens[s % c.lens.size()]);
  const int longest = *std::max_element(lens.begin(), lens.end()), shortest = *std::min_element(lens.begin(), lens.end());
  PagedCache cache(61, lens, c.head_dim);
  const size_t queries = static_cast<size_t>(c.rows) * c.query_len * heads;
  const auto q = normal_bf16(62, queries * c.head_dim, 2);
  std::vector<float> log_bias(static_cast<size_t>(cache.num_pages) * 64);
  for (size_t i = 0; i < log_bias.size(); i++)
    log_bias[i] = hash_word(63, i) % 9 == 0 ? -INFINITY : static_cast<float>(normal(64, i));
  const bool turns = c.positions != WN_POSITIONS_KEEP || !c.keys_rotated;
  std::vector<int32_t> positions(log_bias.size(), 1 << 28);
  for (int s = 0; s < segments; s++)
    for (int slot = 0; slot < lens[s]; slot++)  // gaps, as after an eviction
      positions[cache.table[s * cache.stride + slot / 64] * 64 + slot % 64] = slot + slot / 3;
  if (c.gives_back)
    for (int s = 0; s < segments; s++) cache.table[s * cache.stride] = -1;

  WnAttendSetsParams p{};
  p.cache = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, c.rows, c.num_kv_heads, c.head_dim, cache.stride};
  p.query_len = c.query_len;
  p.num_query_heads = heads;
  p.num_sets = static_cast<int32_t>(c.kinds.size());
  p.visible = c.visible;
  p.old_only = c.old_only;
  p.positions = c.positions;
  p.clamp = 60;
  p.keys_rotated = c.keys_rotated;
  p.sliding_window = c.sliding_window;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  p.soft_cap = c.soft_cap;
  p.out_f32 = c.out_f32;
  p.max_slots = longest;
  p.seen_width = longest + 3;
  for (int h = 0; h < heads; h++)
    if (!c.some_heads || h % 3 != 1) p.heads[h / 32] |= 1u << (h % 32);

  std::vector<Drawn> drawn(2 * c.kinds.size() + 1);
  const int blocks = c.query_block ? (c.query_len + c.query_block - 1) / c.query_block : 1;
  for (size_t i = 0; i < c.kinds.size(); i++) {
    WnKeySet& set = p.sets[i];
    set.kind = c.kinds[i];
    set.sink = 3;
    set.recent = 20;
    set.with_new = c.with_new;
    set.page_size = c.page_size;
    if (set.kind < WN_SET_SLOTS) continue;
    const bool is_pages = set.kind == WN_SET_PAGES;
    set.query_block = is_pages ? c.query_block : 0;
    drawn[2 * i].draw(70 + static_cast<uint32_t>(i), c, lens, per_row, is_pages ? blocks : 1, is_pages ? c.page_size : 1, 0);
    set.lists = drawn[2 * i].lists;
    if (set.kind != WN_SET_VERTICAL_SLASH) continue;
    SetsCase diagonals = c;
    if (c.diagonal_density > 0) diagonals.density = c.diagonal_density;
    drawn[2 * i + 1].draw(80 + static_cast<uint32_t>(i), diagonals, lens, per_row, 1, 1, 0);
    set.diagonals = drawn[2 * i + 1].lists;
  }
  if (c.some_queries) {
    drawn.back().draw(90, c, lens, per_row, 1, 1, c.query_len);
    p.queries = drawn.back().lists;
  }
  std::vector<int32_t> parents, segment_of;
  for (int r = 0; r < c.rows; r++)
    for (int t = 0; t < c.query_len; t++) parents.push_back(t == 0 ? -1 : static_cast<int>(hash_word(66, r * 100 + t) % (t + 1)) - 1);
  for (int i = 0; i < longest; i++) segment_of.push_back(i < 20 ? -1 : i * 4 / longest);
  p.num_segments = static_cast<int32_t>(segment_of.size());
  std::vector<float> bias;
  if (c.bias > 0) {
    p.bias_heads = c.bias == 3 ? 1 : c.bias == 1 ? heads : per_row;
    p.bias_by_entry = c.bias == 2;
    p.bias_width = c.bias == 2 ? p.sets[0].lists.max_len : std::max(1, shortest - 2);
    bias = normal_f32(67, static_cast<size_t>(c.rows * p.bias_heads) * p.bias_width);
  }
  std::vector<float> table;
  if (turns) {
    p.rope_dims = c.head_dim - c.head_dim / 4 / 2 * 2;
    p.max_positions = longest + longest / 3 + 64;
    for (int64_t at = 0; at < p.max_positions; at++)
      for (int part = 0; part < 2; part++)
        for (int i = 0; i < p.rope_dims / 2; i++) {
          const double angle = static_cast<double>(at) * std::pow(10000.0, -2.0 * i / p.rope_dims);
          table.push_back(static_cast<float>(1.1 * (part ? std::sin(angle) : std::cos(angle))));
        }
  }

  const size_t seen_size = static_cast<size_t>(segments) * p.seen_width;
  std::vector<int32_t> want_counts(segments);
  std::vector<uint8_t> want_seen(seen_size);
  std::vector<int64_t> want_results(2);
  WnAttendSetsParams host = p;
  host.q = q.data();
  host.cache.pages = cache.pages.data();
  host.cache.page_table = cache.table.data();
  host.cache.kv_lens = lens.data();
  host.cache.positions = positions.data();
  host.cache.log_bias = c.has_log_bias ? log_bias.data() : nullptr;
  host.parents = parents.data();
  host.segments = segment_of.data();
  host.bias = c.bias ? bias.data() : nullptr;
  host.cos_sin = table.data();
  host.counts = want_counts.data();
  host.seen = want_seen.data();
  host.results = want_results.data();
  std::vector<double> want(q.size()), want_lse(queries);
  attend_sets_ref(host, want.data(), want_lse.data());

  Device device(outcome);
  p.q = device.upload(q);
  p.cache.pages = device.upload(cache.pages);
  p.cache.page_table = device.upload(cache.table);
  p.cache.kv_lens = device.upload(lens);
  p.cache.positions = device.upload(positions);
  p.cache.log_bias = c.has_log_bias ? device.upload(log_bias) : nullptr;
  p.parents = device.upload(parents);
  p.segments = device.upload(segment_of);
  p.bias = c.bias ? device.upload(bias) : nullptr;
  p.cos_sin = device.upload(table);
  for (size_t i = 0; i < c.kinds.size(); i++) {
    if (p.sets[i].lists.values) p.sets[i].lists = drawn[2 * i].on(device);
    if (p.sets[i].diagonals.values) p.sets[i].diagonals = drawn[2 * i + 1].on(device);
  }
  if (p.queries.values) p.queries = drawn.back().on(device);
  p.counts = c.is_planned ? nullptr : device.poisoned<int32_t>(segments);
  p.seen = c.is_planned ? nullptr : device.poisoned<uint8_t>(seen_size);
  p.num_pages = c.is_planned ? cache.num_pages : 0;
  p.scheduler = device.zeroed<int32_t>(2);
  p.results = device.poisoned<int64_t>(2);
  p.workspace_bytes = wn_attend_sets_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(p.workspace_bytes);
  p.out = device.poisoned_elements(c.out_f32 ? WN_F32 : WN_BF16, q.size());
  p.lse = device.poisoned<float>(queries);
  if (!device.finish(wn_attend_sets(&p, nullptr))) return;
  auto results = device.download(p.results, 2);
  if (want_results[1]) results[0] = want_results[0];  // what is refused counts nothing
  compare_exact(outcome, results, want_results, "results");
  if (want_results[1]) return;
  compare(outcome, device.elements(c.out_f32 ? WN_F32 : WN_BF16, p.out, q.size()), want, turns ? 1.2e-2 : 6e-3);
  compare_lse(outcome, device.download(p.lse, queries), want_lse, turns ? 2e-2 : 2e-3);
  if (c.is_planned) return;
  compare_exact(outcome, device.download(p.counts, want_counts.size()), want_counts, "counts");
  compare_exact(outcome, device.download(p.seen, seen_size), want_seen, "seen");
}

using K = std::vector<int>;
constexpr int kAll = WN_SET_ALL, kWindow = WN_SET_WINDOW, kSlots = WN_SET_SLOTS, kPages = WN_SET_PAGES, kSlash = WN_SET_VERTICAL_SLASH;

std::vector<SetsCase> table() {
  const std::vector<int32_t> usual{700, 650, 701}, small{70}, ragged{333, 128, 200, 291, 64, 333};
  std::vector<SetsCase> cases{
      {.name = "all", .query_len = 100, .lens = usual},
      {.name = "all-one", .lens = usual, .gives_back = true, .has_log_bias = true},
      {.name = "window", .query_len = 65, .lens = usual, .kinds = {kWindow}},
      {.name = "slots-new", .rows = 2, .query_len = 7, .lens = ragged, .kinds = {kSlots}, .with_new = true, .out_f32 = true},
      {.name = "slots-by-query-head", .rows = 2, .lens = usual, .kinds = {kSlots}, .scope = 2, .with_new = true},
      {.name = "slots-sparse", .lens = {3000, 2500, 2900}, .kinds = {kSlots}, .with_new = true, .density = 0.03},
      {.name = "pages-for-a-row", .query_len = 3, .lens = usual, .kinds = {kPages}, .scope = 0, .page_size = 16, .with_new = true},
      {.name = "blocks-64", .query_len = 200, .lens = usual, .kinds = {kPages}, .page_size = 64, .query_block = 64},
      {.name = "blocks-24-by-query-head", .query_len = 130, .lens = usual, .kinds = {kPages}, .scope = 2, .page_size = 24, .query_block = 16},
      {.name = "blocks-128-for-a-row", .query_len = 60, .lens = ragged, .kinds = {kPages}, .scope = 0, .page_size = 128, .query_block = 100},
      {.name = "slash", .query_len = 100, .lens = usual, .kinds = {kSlash}, .density = 0.1},
      {.name = "slash-by-query-head", .rows = 2, .query_len = 70, .lens = small, .kinds = {kSlash}, .scope = 2, .density = 0.1, .out_f32 = true},
      {.name = "slash-blocks-window", .query_len = 90, .lens = usual, .kinds = {kSlash, kPages, kWindow}, .page_size = 32, .query_block = 30, .density = 0.05},
      {.name = "slots-window-old", .rows = 3, .query_len = 6, .lens = small, .kinds = {kSlots, kWindow}, .old_only = true},
      {.name = "tree", .rows = 2, .query_len = 9, .lens = usual, .visible = WN_VISIBLE_TREE},
      {.name = "tree-slots-bias", .query_len = 5, .lens = small, .kinds = {kSlots}, .with_new = true, .visible = WN_VISIBLE_TREE, .bias = 1},
      {.name = "tree-70", .query_len = 70, .lens = {130}, .kinds = {kSlots, kSlots}, .with_new = true, .visible = WN_VISIBLE_TREE},
      {.name = "bidirectional", .query_len = 80, .lens = usual, .visible = WN_VISIBLE_ALL},
      {.name = "segments", .query_len = 120, .lens = {300, 290, 310}, .visible = WN_VISIBLE_SEGMENTS},
      {.name = "every", .rows = 2, .query_len = 3, .lens = small, .visible = WN_VISIBLE_EVERY},
      {.name = "every-1", .query_len = 3, .lens = {1}, .visible = WN_VISIBLE_EVERY, .bias = 3},
      {.name = "some-queries", .query_len = 100, .lens = usual, .kinds = {kSlots}, .with_new = true, .some_queries = true},
      {.name = "some-heads-bias", .query_len = 4, .lens = usual, .some_heads = true, .bias = 1},
      {.name = "some-heads-slots", .rows = 2, .query_len = 30, .lens = usual, .kinds = {kSlots}, .some_heads = true, .has_log_bias = true},
      {.name = "bias-by-entry-cap", .rows = 2, .query_len = 2, .lens = ragged, .kinds = {kSlots}, .scope = 2, .with_new = true, .bias = 2, .soft_cap = 4},
      {.name = "sliding-blocks", .query_len = 50, .lens = usual, .kinds = {kPages}, .page_size = 64, .query_block = 50, .sliding_window = 400},
      {.name = "compact-all", .rows = 2, .lens = small, .positions = WN_POSITIONS_COMPACT},
      {.name = "compact-window", .lens = small, .kinds = {kWindow}, .positions = WN_POSITIONS_COMPACT},
      {.name = "compact-window-uneven", .query_len = 30, .lens = small, .kinds = {kWindow}, .positions = WN_POSITIONS_COMPACT},
      {.name = "compact-slots", .query_len = 4, .lens = usual, .kinds = {kSlots}, .with_new = true, .positions = WN_POSITIONS_COMPACT},
      {.name = "compact-slots-pre", .query_len = 4, .lens = small, .kinds = {kSlots}, .with_new = true, .positions = WN_POSITIONS_COMPACT, .keys_rotated = false},
      {.name = "compact-40", .query_len = 40, .lens = usual, .positions = WN_POSITIONS_COMPACT},
      {.name = "clamp", .query_len = 3, .lens = usual, .positions = WN_POSITIONS_CLAMP},
      {.name = "clamp-50", .query_len = 50, .lens = {200}, .positions = WN_POSITIONS_CLAMP, .sliding_window = 150},
      {.name = "clamp-slots-window-pre", .rows = 2, .query_len = 9, .lens = small, .kinds = {kSlots, kWindow}, .positions = WN_POSITIONS_CLAMP, .keys_rotated = false},
      {.name = "window-pre", .query_len = 20, .lens = small, .kinds = {kWindow}, .keys_rotated = false},
      {.name = "long", .group_size = 1, .num_kv_heads = 1, .query_len = 70, .lens = {17000}, .kinds = {kSlash}, .density = 0.002},
  };
  for (int dim : {16, 96, 128, 256}) {
    const std::string d = "-d" + std::to_string(dim);
    cases.push_back({.name = "slots" + d, .head_dim = dim, .group_size = 4, .num_kv_heads = 2, .query_len = 2, .lens = {500, 320}, .kinds = {kSlots}, .with_new = true});
    cases.push_back({.name = "slash-blocks" + d, .head_dim = dim, .group_size = 2, .num_kv_heads = 2, .query_len = 80, .lens = {200}, .kinds = {kSlash, kPages}, .page_size = 64, .query_block = 64, .density = 0.1});
    cases.push_back({.name = "clamp" + d, .head_dim = dim, .group_size = 2, .num_kv_heads = 1, .query_len = 20, .lens = {150}, .positions = WN_POSITIONS_CLAMP});
  }
  // All of a union by Hopper's kernel: whole blocks, masked ones, diagonals, columns packed together.
  for (int dim : {64, 128, 256}) {
    const auto add = [&](const char* name, SetsCase c) {
      c.name = std::string("plan-") + name + "-d" + std::to_string(dim);
      c.head_dim = dim;
      c.is_planned = true;
      cases.push_back(c);
    };
    add("all", {.group_size = 2, .num_kv_heads = 2, .query_len = 150, .lens = {407}});
    add("blocks-128", {.group_size = 2, .num_kv_heads = 2, .query_len = 300, .lens = {601}, .kinds = {kPages}, .page_size = 64, .query_block = 128, .density = 0.4});
    add("blocks-64", {.group_size = 4, .num_kv_heads = 2, .query_len = 300, .lens = {556}, .kinds = {kPages}, .page_size = 64, .query_block = 64, .density = 0.3});
    add("blocks-64-by-query-head", {.group_size = 2, .num_kv_heads = 2, .query_len = 300, .lens = {556}, .kinds = {kPages}, .scope = 2, .page_size = 64, .query_block = 64, .density = 0.3});
    add("blocks-64-some-heads", {.group_size = 2, .num_kv_heads = 2, .query_len = 140, .lens = {300}, .kinds = {kPages, kWindow}, .page_size = 24, .query_block = 64, .some_heads = true});
    add("slash", {.group_size = 2, .num_kv_heads = 1, .query_len = 300, .lens = {900}, .kinds = {kSlash}, .density = 0.02});
    add("slash-by-query-head", {.group_size = 2, .num_kv_heads = 1, .query_len = 300, .lens = {900}, .kinds = {kSlash}, .scope = 2, .density = 0.02});
    add("slash-few-diagonals", {.group_size = 2, .num_kv_heads = 1, .query_len = 330, .lens = {1500}, .kinds = {kSlash}, .scope = 2, .density = 0.03, .diagonal_density = 0.001});
    add("slash-few-diagonals-window", {.group_size = 2, .num_kv_heads = 1, .query_len = 330, .lens = {1500}, .kinds = {kSlash, kWindow}, .density = 0.1, .diagonal_density = 0.002});
    add("slash-blocks-window", {.group_size = 3, .num_kv_heads = 1, .query_len = 290, .lens = {600}, .kinds = {kSlash, kPages, kWindow}, .scope = 2, .page_size = 32, .query_block = 192, .density = 0.05});
    add("slots", {.group_size = 2, .num_kv_heads = 1, .query_len = 200, .lens = {1800}, .kinds = {kSlots}, .with_new = true, .density = 0.02});
    add("slots-window-given-back", {.group_size = 3, .num_kv_heads = 2, .query_len = 200, .lens = {700}, .kinds = {kSlots, kWindow}, .density = 0.3, .gives_back = true});
    add("some-heads-f32", {.group_size = 2, .num_kv_heads = 2, .query_len = 150, .lens = {407}, .kinds = {kWindow, kPages}, .page_size = 64, .density = 0.5, .some_heads = true, .out_f32 = true});
    add("slash-f32", {.group_size = 4, .num_kv_heads = 1, .query_len = 200, .lens = {500}, .kinds = {kSlash}, .density = 0.05, .out_f32 = true});
    add("window", {.group_size = 2, .num_kv_heads = 1, .query_len = 260, .lens = {450}, .kinds = {kWindow}});
  }
  // Unions drawn at random.
  for (int i = 0; i < 24; i++) {
    const auto pick = [&](int what, int below) { return static_cast<int>(hash_word(99, i * 16 + what) % below); };
    SetsCase c{.name = "random-" + std::to_string(i), .head_dim = 32, .group_size = 1 + pick(0, 4), .num_kv_heads = 1 + pick(1, 3), .rows = 1 + pick(2, 2)};
    c.query_len = 1 + pick(3, 2) * pick(4, 90);
    for (int h = 0; h < 4; h++) c.lens.push_back(c.query_len + pick(5 + h, 200));
    c.kinds.clear();
    for (int set = 0; set <= pick(9, 3); set++) c.kinds.push_back(1 + (pick(10, 4) + set) % 4);
    c.scope = pick(11, 3);
    c.page_size = 1 + pick(12, 70);
    c.query_block = pick(13, 2) * (1 + pick(14, 40));
    c.with_new = pick(15, 2) == 0;
    c.density = 0.02 + 0.02 * (i % 6);
    c.old_only = i % 7 == 3;
    c.some_heads = i % 5 == 2;
    c.some_queries = i % 6 == 1;
    c.has_log_bias = i % 4 == 0;
    cases.push_back(c);
  }
  return cases;
}

}  // namespace

void add_sets_cases(Cases& cases) {
  for (const SetsCase& c : table()) cases.push_back({"attend_sets", c.name, [c](Outcome& outcome) { run_sets(c, outcome); }});
}

}  // namespace winnow::test
