#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

/// Lengths of 2 rows of 2 KV heads: the longest, and shorter ones that still hold a window.
std::vector<int32_t> ragged_lens(int longest, int least) {
  return {longest, std::max(least, longest - 65), std::max(least, longest / 2), std::max(least, longest - 1)};
}

struct WindowCase {
  int head_dim, kv_len, window, reduce, pool, width, gqa;
  float soft_cap = 0;
  int sliding_window = 0;
  bool has_bias = false;
};

void run_window(const WindowCase& c, Outcome& outcome) {
  const int heads = 6, kv_heads = 2, rows = 2;
  const auto lens = ragged_lens(c.kv_len, c.window);
  const auto q = normal_bf16(31, static_cast<size_t>(rows) * c.window * heads * c.head_dim);
  const PagedCache cache(33, lens, c.head_dim);
  const auto bias = normal_f32(34, static_cast<size_t>(cache.num_pages) * 64);
  // Positions with gaps, as they are behind an eviction.
  std::vector<int32_t> positions(bias.size());
  for (size_t list = 0; list < lens.size(); list++)
    for (int slot = 0; slot < lens[list]; slot++)
      positions[static_cast<size_t>(cache.table[list * cache.stride + slot / 64]) * 64 + slot % 64] = slot * 3 + static_cast<int>(hash_word(35, slot) % 3);
  WnWindowScoresParams p{};
  p.cache.rows = rows;
  p.cache.num_kv_heads = kv_heads;
  p.cache.head_dim = c.head_dim;
  p.cache.page_table_stride = cache.stride;
  p.window = c.window;
  p.num_query_heads = heads;
  p.max_len = c.kv_len;
  p.reduce = c.reduce;
  p.pool = c.pool;
  p.pool_width = c.width;
  p.gqa = c.gqa;
  p.soft_cap = c.soft_cap;
  p.sliding_window = c.sliding_window;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  WnWindowScoresParams host = p;
  host.q = q.data();
  host.cache.pages = const_cast<uint16_t*>(cache.pages.data());
  host.cache.page_table = cache.table.data();
  host.cache.kv_lens = lens.data();
  host.cache.positions = positions.data();
  host.cache.log_bias = c.has_bias ? const_cast<float*>(bias.data()) : nullptr;
  std::vector<double> want(static_cast<size_t>(rows) * lists_after_ref(c.gqa, heads, kv_heads) * c.kv_len);
  window_scores_ref(host, want.data());
  Device device(outcome);
  p.q = device.upload(q);
  p.cache.pages = device.upload(cache.pages);
  p.cache.page_table = device.upload(cache.table);
  p.cache.kv_lens = device.upload(lens);
  p.cache.positions = device.upload(positions);
  p.cache.log_bias = c.has_bias ? device.upload(bias) : nullptr;
  p.workspace_bytes = wn_window_scores_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(p.workspace_bytes);
  p.scores = device.poisoned<float>(want.size());
  if (!device.finish(wn_window_scores(&p, nullptr))) return;
  compare_scores(outcome, device.download(p.scores, want.size()), want, 2e-3);
}

/// what: 0 key norms, 1 value norms, 2 block summary, 3 its scores.
void run_cache_scores(int what, int head_dim, int kv_len, int block_len, int gqa, Outcome& outcome) {
  const int heads = 6, kv_heads = 2, rows = 2, query_len = 3, blocks = (kv_len + block_len - 1) / block_len + 2;
  const auto lens = ragged_lens(kv_len, 0);
  const PagedCache cache(36, lens, head_dim);
  WnCacheView view{const_cast<uint16_t*>(cache.pages.data()), cache.table.data(), lens.data(), nullptr, nullptr, nullptr,
                   rows, kv_heads, head_dim, cache.stride};
  Device device(outcome);
  WnCacheView there = view;
  there.pages = device.upload(cache.pages);
  there.page_table = device.upload(cache.table);
  there.kv_lens = device.upload(lens);
  if (what < 2) {
    std::vector<double> want(static_cast<size_t>(rows) * kv_heads * kv_len);
    slot_norms_ref({view, nullptr, kv_len, what}, want.data());
    const WnSlotNormsParams p{there, device.poisoned<float>(want.size()), kv_len, what};
    if (!device.finish(wn_slot_norms(&p, nullptr))) return;
    compare_scores(outcome, device.download(p.norms, want.size()), want, 1e-6);
    return;
  }
  std::vector<double> summary(static_cast<size_t>(rows) * kv_heads * blocks * 2 * head_dim);
  block_summary_ref({view, nullptr, block_len, 0, blocks}, summary.data());
  const std::vector<float> rounded(summary.begin(), summary.end());
  if (what == 2) {
    // Blocks before from_block keep what they held.
    auto* out = device.upload(rounded);
    for (int from : {0, blocks / 2}) {
      const WnBlockSummaryParams p{there, out, block_len, from, blocks};
      if (!device.finish(wn_block_summary(&p, nullptr))) return;
      compare_exact(outcome, device.download(out, rounded.size()), rounded, "summary");
    }
    return;
  }
  const auto q = normal_bf16(37, static_cast<size_t>(rows) * query_len * heads * head_dim);
  WnBlockScoresParams p{q.data(), rounded.data(), nullptr, rows, query_len, heads, kv_heads, head_dim, blocks, WN_BF16, gqa};
  std::vector<double> want(static_cast<size_t>(rows) * lists_after_ref(gqa, heads, kv_heads) * blocks);
  block_scores_ref(p, want.data());
  p.q = device.upload(q);
  p.summary = device.upload(rounded);
  p.scores = device.poisoned<float>(want.size());
  if (!device.finish(wn_block_scores(&p, nullptr))) return;
  compare_scores(outcome, device.download(p.scores, want.size()), want, 1e-5);
}

void run_random(int rows, int heads, int length, Outcome& outcome) {
  WnRandomScoresParams p{nullptr, (uint64_t{1} << 52) + 12345, 7, rows, heads, length};
  std::vector<float> want(static_cast<size_t>(rows) * heads * length);
  random_scores_ref(p, want.data());
  Device device(outcome);
  p.scores = device.poisoned<float>(want.size());
  if (!device.finish(wn_random_scores(&p, nullptr))) return;
  compare_exact(outcome, device.download(p.scores, want.size()), want, "scores");
}

/// kind 0 distinct, 1 many ties, 2 specials (NaN, infinities, zeros of both signs), 3 all equal, 4 -inf behind a length
void run_top_k(int lists, int together, int length, int count, int kind, int first, int last, Outcome& outcome) {
  const int stride = std::min(length, count) + 3;
  std::vector<float> scores(static_cast<size_t>(lists) * length);
  const float specials[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, -1.0f, 1e-40f};
  for (size_t i = 0; i < scores.size(); i++) {
    const int list = static_cast<int>(i / length), place = static_cast<int>(i % length);
    scores[i] = kind == 1   ? static_cast<float>(hash_word(42, i) % 5)
                : kind == 2 ? specials[hash_word(43, i) % 8]
                : kind == 3 ? 0.25f
                            : static_cast<float>(normal(41, i));
    if (kind == 4 && place >= length - list * length / lists) scores[i] = -INFINITY;
  }
  std::vector<int32_t> counts(lists / together);
  for (size_t i = 0; i < counts.size(); i++) counts[i] = std::max(0, count - static_cast<int>(i));
  WnTopKParams p{};
  p.num_lists = lists;
  p.length = length;
  p.lists_per_budget = together;
  p.indices_stride = stride;
  p.protect_first = first;
  p.protect_last = last;
  WnTopKParams host = p;
  host.scores = scores.data();
  host.counts = counts.data();
  std::vector<int32_t> want(static_cast<size_t>(lists) * stride), want_lens(lists);
  top_k_ref(host, want.data(), want_lens.data());
  Device device(outcome);
  p.scores = device.upload(scores);
  p.counts = device.upload(counts);
  p.indices = device.poisoned<int32_t>(want.size());
  p.lens = device.poisoned<int32_t>(lists);
  p.workspace_bytes = wn_top_k_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(p.workspace_bytes);
  if (!device.finish(wn_top_k(&p, nullptr))) return;
  compare_exact(outcome, device.download(p.lens, lists), want_lens, "lens");
  compare_exact(outcome, device.download(p.indices, want.size()), want, "indices");
}

void run_gather(int head_dim, bool has_bias, Outcome& outcome) {
  const std::vector<int32_t> lens = {700, 1, 130, 64}, counts = {333, 1, 0, 64};
  const PagedCache source(51, lens, head_dim), target(52, {400, 64, 64, 64}, head_dim);
  std::vector<int32_t> indices;
  for (size_t row = 0; row < lens.size(); row++)
    for (int i = 0; i < 400; i++) indices.push_back(std::min(lens[row] - 1, i * 2 + static_cast<int>(hash_word(53, i) % 2)));
  std::vector<float> bias(static_cast<size_t>(source.num_pages) * 64);
  for (size_t i = 0; i < bias.size(); i++) bias[i] = static_cast<float>(normal(54, i));
  WnGatherCompactParams p{};
  p.num_rows = 4;
  p.head_dim = head_dim;
  p.source_stride = source.stride;
  p.target_stride = target.stride;
  p.indices_stride = 400;
  WnGatherCompactParams host = p;
  host.source = source.pages.data();
  host.source_table = source.table.data();
  host.indices = indices.data();
  host.counts = counts.data();
  host.target_table = target.table.data();
  host.source_bias = bias.data();
  auto want = target.pages;
  std::vector<float> want_bias(static_cast<size_t>(target.num_pages) * 64, 7);
  const auto old_bias = want_bias;
  gather_compact_ref(host, want.data(), has_bias ? want_bias.data() : nullptr);
  Device device(outcome);
  p.source = device.upload(source.pages);
  p.source_table = device.upload(source.table);
  p.indices = device.upload(indices);
  p.counts = device.upload(counts);
  auto* pages = device.upload(target.pages);
  p.target = pages;
  p.target_table = device.upload(target.table);
  p.source_bias = has_bias ? device.upload(bias) : nullptr;
  p.target_bias = has_bias ? device.upload(old_bias) : nullptr;
  if (!device.finish(wn_gather_compact(&p, nullptr))) return;
  compare_exact(outcome, device.download(pages, want.size()), want, "pages");
  if (has_bias) compare_exact(outcome, device.download(p.target_bias, want_bias.size()), want_bias, "bias");
}

void run_cache_write(int head_dim, int tokens, Outcome& outcome) {
  const int batch = 2, heads = 3, stride = heads * head_dim + 16;
  const std::vector<int32_t> lens = {0, 63, 64, 1, 100, 7};
  std::vector<int32_t> after;
  for (int32_t len : lens) after.push_back(len + tokens);
  const PagedCache cache(61, after, head_dim);
  const auto k = normal_bf16(62, static_cast<size_t>(batch) * tokens * stride);
  const auto v = normal_bf16(63, static_cast<size_t>(batch) * tokens * stride);
  WnCacheWriteParams p{};
  p.token_stride = stride;
  p.batch = batch;
  p.num_tokens = tokens;
  p.num_kv_heads = heads;
  p.head_dim = head_dim;
  p.page_table_stride = cache.stride;
  WnCacheWriteParams host = p;
  host.k = k.data();
  host.v = v.data();
  host.page_table = cache.table.data();
  host.kv_lens = lens.data();
  auto want = cache.pages;
  cache_write_ref(host, want.data());
  Device device(outcome);
  p.k = device.upload(k);
  p.v = device.upload(v);
  auto* pages = device.upload(cache.pages);
  p.pages = pages;
  p.page_table = device.upload(cache.table);
  p.kv_lens = device.upload(lens);
  if (!device.finish(wn_cache_write(&p, nullptr))) return;
  compare_exact(outcome, device.download(pages, want.size()), want, "pages");
}

}  // namespace

void add_score_cases(Cases& cases) {
  auto text = [](auto... parts) {
    std::string name;
    ((name += (name.empty() ? "" : "-") + std::to_string(parts)), ...);
    return name;
  };
  for (int d : {16, 64, 80, 96, 128, 256})
    for (auto [n, w] : {std::pair{1, 1}, {17, 16}, {100, 32}, {255, 64}, {700, 7}, {1000, 33}})
      for (auto [pool, width] : {std::pair{0, 1}, {1, 5}, {2, 7}})
        cases.push_back({"window_scores", text(d, n, w, pool, width), [=](Outcome& outcome) {
                           run_window({d, n, w, WN_WINDOW_MEAN, pool, width, WN_GQA_MEAN}, outcome);
                         }});
  for (int d : {32, 128})
    for (int reduce : {0, 1, 2, 3})
      for (int gqa : {0, 1, 2, 3, 4})
        for (int how : {0, 1, 2, 3})
          cases.push_back({"window_scores", text(d, reduce, gqa) + "-how-" + text(how), [=](Outcome& outcome) {
                             run_window({d, 300, 20, reduce, 1, 5, gqa, how == 1 ? 2.0f : 0, how == 2 ? 150 : 0, how == 3}, outcome);
                           }});
  for (int d : {16, 80, 128, 256})
    for (int n : {1, 64, 333})
      for (int what : {0, 1, 2, 3})
        for (int block : what < 2 ? std::vector<int>{1} : std::vector<int>{1, 16, 100})
          for (int gqa : what < 3 ? std::vector<int>{0} : std::vector<int>{0, 1, 2, 3, 4})
            cases.push_back({what < 2 ? "slot_norms" : what == 2 ? "block_summary" : "block_scores", text(what, d, n, block, gqa),
                             [=](Outcome& outcome) { run_cache_scores(what, d, n, block, gqa, outcome); }});
  for (auto [rows, heads, length] : {std::tuple{1, 1, 1}, {2, 8, 1000}, {1, 3, 70000}})
    cases.push_back({"random_scores", text(rows, heads, length), [=](Outcome& outcome) { run_random(rows, heads, length, outcome); }});
  for (int kind : {0, 1, 2, 3, 4})
    for (int n : {1, 3, 33, 255, 1000, 4096, 4097, 40000})
      for (int k : {0, 1, n / 3, n})
        for (int together : {1, 3, 6})
          cases.push_back({"top_k", text(kind, n, k, together), [=](Outcome& outcome) { run_top_k(6, together, n, k, kind, 0, 0, outcome); }});
  for (int kind : {0, 1, 2, 4})
    for (int together : {1, 4})
      for (auto [k, first, last] : {std::tuple{100, 4, 16}, {10, 40, 16}, {30, 1, 40}, {7, 0, 9}, {900, 300, 300}})
        for (int n : {1000, 17000})
          cases.push_back({"top_k", text(kind, together, k, first, last, n) + "-protected", [=](Outcome& outcome) {
                             run_top_k(4, together, n, k, kind, first, last, outcome);
                           }});
  for (int d : {8, 64, 128, 256}) {
    for (bool bias : {false, true})
      cases.push_back({"gather_compact", text(d, bias), [=](Outcome& outcome) { run_gather(d, bias, outcome); }});
    for (int tokens : {1, 65})
      cases.push_back({"cache_write", text(d, tokens), [=](Outcome& outcome) { run_cache_write(d, tokens, outcome); }});
  }
}

}  // namespace winnow::test
