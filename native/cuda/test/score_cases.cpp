#include <algorithm>

#include "quantised_page.h"
#include "support.h"

namespace winnow::test {
namespace {

void run_window(int head_dim, int kv_len, int window, int pool, int width, bool paged, Outcome& outcome) {
  const int heads = 6, kv_heads = 2, scored = std::max(1, kv_len - window);
  const auto q = normal_bf16(31, static_cast<size_t>(window) * heads * head_dim);
  const auto k = normal_bf16(32, static_cast<size_t>(kv_len) * kv_heads * head_dim);
  const PagedCache cache(33, std::vector<int32_t>(kv_heads, kv_len), head_dim);
  std::vector<float> lse(heads * window);
  for (size_t i = 0; i < lse.size(); i++) lse[i] = static_cast<float>(std::log(kv_len) + normal(34, i));
  WnWindowScoresParams p{};
  p.kv_token_stride = kv_heads * head_dim;
  p.kv_head_stride = head_dim;
  p.lse_head_stride = window;
  p.observation_window = window;
  p.num_query_heads = heads;
  p.num_kv_heads = kv_heads;
  p.head_dim = head_dim;
  p.kv_len = kv_len;
  p.num_scored = scored;
  p.page_table_stride = cache.stride;
  p.pool = pool;
  p.pool_width = width;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(head_dim));
  WnWindowScoresParams host = p;
  host.q_window = q.data();
  host.lse = lse.data();
  host.k = k.data();
  host.pages = paged ? cache.pages.data() : nullptr;
  host.page_table = cache.table.data();
  std::vector<double> want(static_cast<size_t>(kv_heads) * scored);
  window_scores_ref(host, want.data());
  Device device(outcome);
  p.q_window = device.upload(q);
  p.lse = device.upload(lse);
  p.k = device.upload(k);
  p.pages = paged ? device.upload(cache.pages) : nullptr;
  p.page_table = device.upload(cache.table);
  p.workspace_bytes = wn_window_scores_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(p.workspace_bytes);
  p.scores = device.poisoned<float>(want.size());
  if (!device.finish(wn_window_scores(&p, nullptr))) return;
  compare(outcome, widen(device.download(p.scores, want.size())), want, 2e-3);
}

/// kind 0 distinct, 1 many ties, 2 specials (NaN, infinities, zeros of both signs), 3 all equal
void run_top_k(int row_len, int k, int kind, int segment_len, int sink, int recent, bool ragged, Outcome& outcome) {
  const int rows = 3, stride = row_len + 5, indices_stride = std::max(k, 1) + 3;
  std::vector<float> scores(static_cast<size_t>(rows) * stride);
  const float specials[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, -1.0f, 1e-40f};
  for (size_t i = 0; i < scores.size(); i++)
    scores[i] = kind == 0   ? static_cast<float>(normal(41, i))
                : kind == 1 ? static_cast<float>(hash_word(42, i) % 5)
                : kind == 2 ? specials[hash_word(43, i) % 8]
                            : 0.25f;
  std::vector<int32_t> lens;
  for (int row = 0; row < rows; row++) lens.push_back(row == 0 ? 0 : row_len - row);
  WnTopKParams p{};
  p.row_stride = stride;
  p.num_rows = rows;
  p.row_len = row_len;
  p.k = k;
  p.indices_stride = indices_stride;
  p.segment_len = segment_len;
  p.sink_tokens = sink;
  p.recent_tokens = recent;
  WnTopKParams host = p;
  host.scores = scores.data();
  host.lens = ragged ? lens.data() : nullptr;
  std::vector<int32_t> want(static_cast<size_t>(rows) * indices_stride, -1), want_counts(rows);
  top_k_ref(host, want.data(), want_counts.data());
  Device device(outcome);
  p.scores = device.upload(scores);
  p.lens = ragged ? device.upload(lens) : nullptr;
  p.indices = device.poisoned<int32_t>(want.size());
  p.counts = device.poisoned<int32_t>(rows);
  if (!device.finish(wn_top_k(&p, nullptr))) return;
  compare_exact(outcome, device.download(p.counts, rows), want_counts, "counts");
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

void run_quantise(int head_dim, Outcome& outcome) {
  const int jobs = 5;
  auto pages = normal_bf16(71, static_cast<size_t>(jobs + 2) * 128 * head_dim);
  // A constant page: scale 0.
  std::fill(pages.begin() + 128 * head_dim, pages.begin() + 256 * head_dim, to_bf16(1.5));
  const std::vector<int32_t> sources = {0, 1, 3, 4, 6}, targets = {2, 0, 4, 1, 3};
  WnKvQuantiseParams p{};
  p.num_jobs = jobs;
  p.head_dim = head_dim;
  WnKvQuantiseParams host = p;
  host.pages = pages.data();
  host.source_pages = sources.data();
  host.target_pages = targets.data();
  const size_t bytes = jobs * quantised_page_bytes(head_dim);
  std::vector<uint8_t> want(bytes);
  kv_quantise_ref(host, want.data());
  Device device(outcome);
  p.pages = device.upload(pages);
  p.source_pages = device.upload(sources);
  p.target_pages = device.upload(targets);
  auto* quantised = device.poisoned<uint8_t>(bytes);
  p.quantised = quantised;
  if (!device.finish(wn_kv_quantise(&p, nullptr))) return;
  const auto got = device.download(quantised, bytes);
  const size_t page = quantised_page_bytes(head_dim), codes = quantised_key_params(head_dim);
  size_t rounding = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (got[i] == want[i]) continue;
    const int low = std::abs((got[i] & 15) - (want[i] & 15)), high = std::abs((got[i] >> 4) - (want[i] >> 4));
    if (i % page >= codes || low > 1 || high > 1) outcome.status = "incorrect";
    rounding++;
  }
  outcome.error = static_cast<double>(rounding) / static_cast<double>(bytes);
  outcome.bound = 1e-3;
  if (outcome.error > outcome.bound) outcome.status = "incorrect";
}

}  // namespace

void add_score_cases(Cases& cases) {
  auto text = [](auto... parts) {
    std::string name;
    ((name += (name.empty() ? "" : "-") + std::to_string(parts)), ...);
    return name;
  };
  for (int d : {64, 128})
    for (auto [n, w] : {std::pair{1, 1}, {17, 16}, {100, 32}, {255, 64}, {700, 7}, {1000, 33}})
      for (auto [pool, width] : {std::pair{0, 1}, {1, 5}, {2, 7}, {1, 13}})
        cases.push_back({"window_scores", text(d, n, w, pool, width), [=](Outcome& outcome) {
                           run_window(d, n, w, pool, width, pool == 2, outcome);
                         }});
  for (int kind : {0, 1, 2, 3})
    for (int n : {1, 3, 31, 32, 33, 255, 256, 1000, 1025, 4096, 5000, 40000})
      for (int k : {0, 1, n / 3, n})
        cases.push_back({"top_k", text(kind, n, k), [=](Outcome& outcome) { run_top_k(n, k, kind, 0, 0, 0, false, outcome); }});
  for (int kind : {0, 1, 2}) {
    cases.push_back({"top_k", text(kind, 1000, 100) + "-protected",
                     [=](Outcome& outcome) { run_top_k(1000, 100, kind, 0, 4, 16, false, outcome); }});
    cases.push_back({"top_k", text(kind, 1000, 10) + "-protected-over",
                     [=](Outcome& outcome) { run_top_k(1000, 10, kind, 0, 40, 16, false, outcome); }});
    cases.push_back({"top_k", text(kind, 1000, 100) + "-ragged",
                     [=](Outcome& outcome) { run_top_k(1000, 100, kind, 0, 4, 16, true, outcome); }});
    cases.push_back({"top_k", text(kind, 1000, 300) + "-segments",
                     [=](Outcome& outcome) { run_top_k(1000, 300, kind, 250, 4, 16, false, outcome); }});
  }
  for (int d : {8, 64, 128, 256}) {
    for (bool bias : {false, true})
      cases.push_back({"gather_compact", text(d, bias), [=](Outcome& outcome) { run_gather(d, bias, outcome); }});
    for (int tokens : {1, 65})
      cases.push_back({"cache_write", text(d, tokens), [=](Outcome& outcome) { run_cache_write(d, tokens, outcome); }});
  }
  for (int d : {64, 128})
    cases.push_back({"kv_quantise", text(d), [=](Outcome& outcome) { run_quantise(d, outcome); }});
}

}  // namespace winnow::test
