#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

/// What narrows the keys of a case; everything that is not named is off.
struct AnyCase {
  std::string name;
  int head_dim = 64, group_size = 4, num_kv_heads = 2, rows = 1, query_len = 1;
  std::vector<int32_t> lens = {};  ///< rows * num_kv_heads; shorter: repeated
  int list = WN_LIST_NONE, page_size = 0;
  double density = 0.3;
  bool has_windows = false, has_bias = false, has_probs = false, gives_back = false;
  int sliding_window = 0, visible = WN_SEE_CAUSAL;
  float soft_cap = 0;
  int variant = 0;
};

/// Ascending entries below `count`, lists of -1 and 0 length among them.
void make_lists(const AnyCase& c, const std::vector<int32_t>& lens, WnAttentionAnyParams& p, std::vector<int32_t>& indices,
                std::vector<int32_t>& index_lens) {
  const int lists = c.list == WN_LIST_ROW ? 1 : c.list == WN_LIST_KV_HEAD ? c.num_kv_heads : c.num_kv_heads * c.group_size;
  const int unit = std::max(c.page_size, 1);
  p.index_stride = *std::max_element(lens.begin(), lens.end()) / unit + 2;
  for (int i = 0; i < c.rows * lists; i++) {
    // One list for a row: its shortest head bounds it.
    const int row = i / lists, per_head = std::max(lists / c.num_kv_heads, 1);
    int32_t length = lens[row * c.num_kv_heads + (lists == 1 ? 0 : i % lists / per_head)];
    for (int h = 0; lists == 1 && h < c.num_kv_heads; h++) length = std::min(length, lens[row * c.num_kv_heads + h]);
    std::vector<int32_t> chosen;
    for (int j = 0; j < (length + unit - 1) / unit; j++)
      if (uniform(35, static_cast<uint64_t>(i) * 100000 + j) < c.density) chosen.push_back(j);
    int32_t len = static_cast<int32_t>(chosen.size());
    if (i % 7 == 5) len = -1;
    if (i % 7 == 3) len = 0;
    index_lens.push_back(len);
    chosen.resize(p.index_stride, -1);
    indices.insert(indices.end(), chosen.begin(), chosen.end());
  }
}

void run_any(const AnyCase& c, Outcome& outcome) {
  const int heads = c.num_kv_heads * c.group_size, segments = c.rows * c.num_kv_heads;
  std::vector<int32_t> lens;
  for (int s = 0; s < segments; s++) lens.push_back(c.lens[s % c.lens.size()]);
  PagedCache cache(31, lens, c.head_dim);
  const size_t queries = static_cast<size_t>(c.rows) * c.query_len * heads;
  const auto q = normal_bf16(32, queries * c.head_dim, 2);
  std::vector<float> bias(static_cast<size_t>(cache.num_pages) * 64);
  for (size_t i = 0; i < bias.size(); i++)
    bias[i] = hash_word(33, i) % 9 == 0 ? -INFINITY : static_cast<float>(normal(34, i));
  std::vector<int32_t> positions(bias.size(), 1 << 28);
  for (int s = 0; s < segments; s++)
    for (int slot = 0; slot < lens[s]; slot++)  // gaps, as after an eviction
      positions[cache.table[s * cache.stride + slot / 64] * 64 + slot % 64] = slot + slot / 3;
  if (c.gives_back)
    for (int s = 0; s < segments; s++) cache.table[s * cache.stride] = -1;
  std::vector<int32_t> windows, parents, indices, index_lens;
  for (int h = 0; h < heads; h++) {
    windows.push_back(h % 5 == 4 ? -1 : h % 3 * 17);
    windows.push_back(h % 4 * 40 + 1);
  }
  for (int r = 0; r < c.rows; r++)
    for (int t = 0; t < c.query_len; t++) parents.push_back(t == 0 ? -1 : static_cast<int>(hash_word(36, r * 100 + t) % (t + 1)) - 1);

  WnAttentionAnyParams p{};
  p.rows = c.rows;
  p.query_len = c.query_len;
  p.num_query_heads = heads;
  p.num_kv_heads = c.num_kv_heads;
  p.head_dim = c.head_dim;
  p.page_table_stride = cache.stride;
  p.list = c.list;
  p.page_size = c.page_size;
  p.visible = c.visible;
  p.sliding_window = c.sliding_window;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  p.soft_cap = c.soft_cap;
  p.variant = c.variant;
  p.max_slots = *std::max_element(lens.begin(), lens.end()) + 5;
  if (c.list != WN_LIST_NONE) make_lists(c, lens, p, indices, index_lens);
  WnAttentionAnyParams host = p;
  host.q = q.data();
  host.pages = cache.pages.data();
  host.page_table = cache.table.data();
  host.kv_lens = lens.data();
  host.positions = positions.data();
  host.log_bias = c.has_bias ? bias.data() : nullptr;
  host.windows = c.has_windows ? windows.data() : nullptr;
  host.indices = indices.data();
  host.index_lens = index_lens.data();
  host.parents = parents.data();
  std::vector<double> want(q.size()), want_lse(queries), want_probs(c.has_probs ? queries * p.max_slots : 0);
  attention_any_ref(host, want.data(), want_lse.data(), c.has_probs ? want_probs.data() : nullptr);

  Device device(outcome);
  p.q = device.upload(q);
  p.pages = device.upload(cache.pages);
  p.page_table = device.upload(cache.table);
  p.kv_lens = device.upload(lens);
  p.positions = device.upload(positions);
  p.log_bias = c.has_bias ? device.upload(bias) : nullptr;
  p.windows = c.has_windows ? device.upload(windows) : nullptr;
  p.indices = device.upload(indices);
  p.index_lens = device.upload(index_lens);
  p.parents = device.upload(parents);
  auto* probs = c.has_probs ? device.poisoned<float>(want_probs.size()) : nullptr;
  p.probs = probs;
  p.workspace_bytes = wn_attention_any_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(p.workspace_bytes);
  auto* out = device.poisoned<uint16_t>(q.size());
  auto* lse = device.poisoned<float>(queries);
  p.out = out;
  p.lse = lse;
  if (!device.finish(wn_attention_any(&p, nullptr))) return;
  compare(outcome, widen(device.download(out, q.size())), want, 6e-3);
  compare_lse(outcome, device.download(lse, queries), want_lse, 2e-3);
  if (!c.has_probs) return;
  auto got = device.download(probs, want_probs.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (std::isinf(got[i]) != std::isinf(want_probs[i])) return outcome.fail("probs: -inf at " + std::to_string(i));
    if (std::isinf(got[i])) got[i] = 0, want_probs[i] = 0;
  }
  compare(outcome, widen(got), want_probs, 6e-3);
}

/// Of the kernel for long runs: 128 packed queries a block (64 above head_dim 128), steps of 64 keys.
void add_long_runs(std::vector<AnyCase>& table) {
  for (int d : {64, 96, 128, 256}) {
    for (int t : {1, 16, 31, 32, 33, 65, 130})
      table.push_back({.name = "run", .head_dim = d, .query_len = t, .lens = {t}, .variant = 1});
    for (int group : {1, 3, 7})
      table.push_back({.name = "run-group", .head_dim = d, .group_size = group, .query_len = 75, .lens = {75, 203}, .variant = 1});
    table.push_back({.name = "run-batch", .head_dim = d, .rows = 3, .query_len = 40, .lens = {40, 130, 64, 400, 63}, .variant = 1});
    table.push_back({.name = "run-cap", .head_dim = d, .query_len = 100, .lens = {100, 230}, .soft_cap = 3, .variant = 1});
    table.push_back({.name = "run-cap-far", .head_dim = d, .query_len = 70, .lens = {70, 133}, .soft_cap = 50, .variant = 1});
    table.push_back({.name = "run-windows", .head_dim = d, .group_size = 5, .query_len = 150, .lens = {150, 300}, .has_windows = true, .variant = 1});
    for (int window : {1, 50, 64, 200}) {
      table.push_back({.name = "run-sliding", .head_dim = d, .query_len = 120, .lens = {120, 411}, .sliding_window = window, .variant = 1});
      table.push_back({.name = "run-released", .head_dim = d, .query_len = 40, .lens = {340, 240}, .gives_back = true, .sliding_window = window, .variant = 1});
    }
    table.push_back({.name = "run-both-ways", .head_dim = d, .query_len = 70, .lens = {70, 150}, .visible = WN_SEE_ALL, .variant = 1});
    table.push_back({.name = "run-everything", .head_dim = d, .rows = 2, .query_len = 90, .lens = {300, 111}, .has_windows = true,
                     .gives_back = true, .sliding_window = 100, .visible = WN_SEE_ALL, .soft_cap = 5, .variant = 1});
  }
  for (int d : {16, 48, 80, 112, 160, 240}) table.push_back({.name = "run", .head_dim = d, .query_len = 70, .lens = {70, 133}, .variant = 1});
}

struct ProbsCase {
  int head_dim, group_size, num_kv_heads;
  std::vector<int32_t> lens;  ///< rows * num_kv_heads
  bool has_bias;
};

void run_probs(const ProbsCase& c, Outcome& outcome) {
  const int heads = c.num_kv_heads * c.group_size;
  const PagedCache cache(41, c.lens, c.head_dim);
  WnAttentionProbsParams p{};
  p.cache = {.rows = static_cast<int32_t>(c.lens.size()) / c.num_kv_heads,
             .num_kv_heads = c.num_kv_heads,
             .head_dim = c.head_dim,
             .page_table_stride = cache.stride};
  p.max_slots = *std::max_element(c.lens.begin(), c.lens.end()) + 70;
  p.num_query_heads = heads;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  const size_t queries = static_cast<size_t>(p.cache.rows) * heads;
  const auto q = normal_bf16(42, queries * c.head_dim, 2);
  auto lse = normal_f32(43, queries);
  lse[queries - 1] = -INFINITY;
  std::vector<float> bias(static_cast<size_t>(cache.num_pages) * 64);
  for (size_t i = 0; i < bias.size(); i++) bias[i] = hash_word(44, i) % 9 == 0 ? -INFINITY : static_cast<float>(normal(45, i));
  std::vector<double> want(queries * p.max_slots);
  WnAttentionProbsParams host = p;
  host.q = q.data();
  host.cache.pages = const_cast<uint16_t*>(cache.pages.data());
  host.cache.page_table = cache.table.data();
  host.cache.kv_lens = c.lens.data();
  host.cache.log_bias = c.has_bias ? bias.data() : nullptr;
  host.lse = lse.data();
  attention_probs_ref(host, want.data());

  Device device(outcome);
  p.q = device.upload(q);
  p.cache.pages = device.upload(cache.pages);
  p.cache.page_table = device.upload(cache.table);
  p.cache.kv_lens = device.upload(c.lens);
  p.cache.log_bias = c.has_bias ? device.upload(bias) : nullptr;
  p.lse = device.upload(lse);
  p.probs = device.poisoned<float>(want.size());
  if (!device.finish(wn_attention_probs(&p, nullptr))) return;
  compare_scores(outcome, device.download(p.probs, want.size()), want, 1e-4);
}

}  // namespace

void add_any_cases(Cases& cases) {
  std::vector<AnyCase> table;
  for (int d : {16, 32, 64, 80, 96, 128, 256})
    for (int32_t len : {1, 17, 64, 65, 700})
      table.push_back({.name = "decode", .head_dim = d, .lens = {len, std::max(len / 2, 1)}});
  for (int d : {32, 64, 96, 128, 256}) {
    // Packed queries: 16 in one block, 20 and 68 in several of one warp each, chunks behind a longer cache.
    for (int t : {4, 5, 17, 33})
      table.push_back({.name = "chunk", .head_dim = d, .query_len = t, .lens = {t, 200 + t}});
    table.push_back({.name = "prompt", .head_dim = d, .group_size = 3, .query_len = 150, .lens = {150}});
    table.push_back({.name = "long", .head_dim = d, .num_kv_heads = 1, .lens = {5000}});
    table.push_back({.name = "batch", .head_dim = d, .rows = 3, .query_len = 2, .lens = {2, 130, 64, 400, 33}});
    for (int t : {1, 40}) {
      const std::vector<int32_t> lens = {t + 300, t + 70};
      table.push_back({.name = "bias", .head_dim = d, .query_len = t, .lens = lens, .has_bias = true});
      table.push_back({.name = "cap", .head_dim = d, .query_len = t, .lens = lens, .soft_cap = 3});
      table.push_back({.name = "windows", .head_dim = d, .group_size = 5, .query_len = t, .lens = lens, .has_windows = true});
      table.push_back({.name = "sliding", .head_dim = d, .query_len = t, .lens = lens, .sliding_window = 50});
      table.push_back({.name = "tree", .head_dim = d, .rows = 2, .query_len = t, .lens = lens, .visible = WN_SEE_TREE});
      table.push_back({.name = "both-ways", .head_dim = d, .query_len = t, .lens = lens, .visible = WN_SEE_ALL});
      table.push_back({.name = "released", .head_dim = d, .query_len = t, .lens = lens, .gives_back = true, .sliding_window = 50});
      for (int list : {WN_LIST_ROW, WN_LIST_KV_HEAD, WN_LIST_QUERY_HEAD})
        for (int page_size : {0, 16, 64})
          table.push_back({.name = "list", .head_dim = d, .rows = 2, .query_len = t, .lens = {t + 300, t + 70, t + 64}, .list = list,
                           .page_size = page_size});
      table.push_back({.name = "everything", .head_dim = d, .rows = 2, .query_len = t, .lens = lens, .list = WN_LIST_KV_HEAD,
                       .has_windows = true, .has_bias = true, .sliding_window = 200, .visible = WN_SEE_TREE, .soft_cap = 5});
    }
    table.push_back({.name = "probs", .head_dim = d, .rows = 2, .lens = {300, 70}, .has_probs = true});
    table.push_back({.name = "probs-wide-group", .head_dim = d, .group_size = 20, .num_kv_heads = 1, .lens = {90}, .has_probs = true});
    table.push_back({.name = "probs-list", .head_dim = d, .rows = 2, .lens = {600, 70}, .list = WN_LIST_KV_HEAD, .page_size = 16,
                     .has_bias = true, .has_probs = true});
  }
  add_long_runs(table);
  int i = 0;
  for (const auto& c : table)
    cases.push_back({"attention_any",
                     c.name + (c.variant ? "-v" + std::to_string(c.variant) : "") + "-d" + std::to_string(c.head_dim) + "-t" +
                         std::to_string(c.query_len) + "-len" +
                         std::to_string(c.lens[0]) + "-list" + std::to_string(c.list) + "-page" + std::to_string(c.page_size) +
                         "-" + std::to_string(i++),
                     [c](Outcome& outcome) { run_any(c, outcome); }});
  for (int d : {32, 64, 128, 256})
    for (const ProbsCase& c : {ProbsCase{d, 4, 1, {1}, false}, {d, 4, 2, {300, 64, 0, 129}, false}, {d, 7, 2, {65, 63}, true},
                               {d, 16, 1, {700, 2}, true}, {d, 1, 3, {5, 130, 64}, false}})
      cases.push_back({"attention_probs",
                       "d" + std::to_string(d) + "-g" + std::to_string(c.group_size) + "-h" + std::to_string(c.num_kv_heads) + "-len" +
                           std::to_string(c.lens[0]) + (c.has_bias ? "-bias" : ""),
                       [c](Outcome& outcome) { run_probs(c, outcome); }});
}

}  // namespace winnow::test
