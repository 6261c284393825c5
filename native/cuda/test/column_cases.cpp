#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

struct ColumnCase {
  int head_dim, group_size, len, reduce;
  std::vector<int> chunks;  ///< queries of each call; the cache holds all slots from the first on
  int sliding_window = 0, first_row = 0;
  float soft_cap = 0;
  bool has_bias = false;
};

void run_columns(const ColumnCase& c, Outcome& outcome) {
  const int kv_heads = 2, heads = kv_heads * c.group_size, width = c.len + 3;
  const PagedCache cache(51, {c.len, c.len}, c.head_dim);
  std::vector<float> bias(static_cast<size_t>(cache.num_pages) * 64);
  std::vector<int32_t> positions(bias.size());
  for (size_t i = 0; i < bias.size(); i++) bias[i] = hash_word(53, i) % 9 == 0 ? -INFINITY : static_cast<float>(normal(54, i));
  for (int h = 0; h < kv_heads; h++)
    for (int slot = 0; slot < c.len; slot++) positions[cache.table[h * cache.stride + slot / 64] * 64 + slot % 64] = slot + slot / 3;
  const size_t state_size = (c.reduce == WN_COLUMN_VARIANCE ? 4 : 2) * static_cast<size_t>(heads) * width;
  std::vector<double> want(state_size), want_out(static_cast<size_t>(heads) * width);

  Device device(outcome);
  WnColumnStatsParams p{};
  p.num_query_heads = heads;
  p.num_kv_heads = kv_heads;
  p.head_dim = c.head_dim;
  p.page_table_stride = cache.stride;
  p.width = width;
  p.sliding_window = c.sliding_window;
  p.first_row = c.first_row;
  p.reduce = c.reduce;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  p.soft_cap = c.soft_cap;
  WnColumnStatsParams host = p;
  p.pages = device.upload(cache.pages);
  p.page_table = device.upload(cache.table);
  p.positions = device.upload(positions);
  p.log_bias = c.has_bias ? device.upload(bias) : nullptr;
  p.state = device.zeroed<float>(state_size);
  host.pages = cache.pages.data();
  host.page_table = cache.table.data();
  host.positions = positions.data();
  host.log_bias = c.has_bias ? bias.data() : nullptr;
  int len = c.len;
  for (int chunk : c.chunks) len -= chunk;
  for (int chunk : c.chunks) {
    len += chunk;
    const std::vector<int32_t> lens(kv_heads, len);
    const auto q = normal_bf16(52 + len, static_cast<size_t>(chunk) * heads * c.head_dim, 2);
    WnAttentionAnyParams dense{};
    dense.q = q.data();
    dense.pages = cache.pages.data();
    dense.page_table = cache.table.data();
    dense.kv_lens = lens.data();
    dense.positions = positions.data();
    dense.log_bias = host.log_bias;
    dense.rows = 1;
    dense.query_len = chunk;
    dense.num_query_heads = heads;
    dense.num_kv_heads = kv_heads;
    dense.head_dim = c.head_dim;
    dense.page_table_stride = cache.stride;
    dense.sliding_window = c.sliding_window;
    dense.softmax_scale = p.softmax_scale;
    dense.soft_cap = c.soft_cap;
    std::vector<double> out(q.size()), exact(static_cast<size_t>(chunk) * heads);
    attention_any_ref(dense, out.data(), exact.data(), nullptr);
    const std::vector<float> lse(exact.begin(), exact.end());
    host.q = q.data();
    host.kv_lens = lens.data();
    host.lse = lse.data();
    host.query_len = p.query_len = chunk;
    column_stats_ref(host, want.data());
    p.q = device.upload(q);
    p.kv_lens = device.upload(lens);
    p.lse = device.upload(lse);
    if (!device.finish(wn_column_stats(&p, nullptr))) return;
  }
  const auto got = device.download(p.state, state_size);
  compare(outcome, widen(got), want, 2e-3);
  WnFinishColumnStatsParams finish{got.data(), nullptr, width, c.first_row, c.len, heads, c.reduce};
  finish_column_stats_ref(finish, want_out.data());
  finish.state = p.state;
  finish.out = device.poisoned<float>(want_out.size());
  if (!device.finish(wn_finish_column_stats(&finish, nullptr))) return;
  compare(outcome, widen(device.download(finish.out, want_out.size())), want_out, 1e-4);
}

}  // namespace

void add_column_cases(Cases& cases) {
  std::vector<ColumnCase> table;
  for (int d : {32, 64, 96, 128, 256})
    for (int reduce = WN_COLUMN_SUM; reduce <= WN_COLUMN_ENTROPY; reduce++) {
      table.push_back({d, 2, 200, reduce, {200}});
      table.push_back({d, 1, 150, reduce, {64, 50}, 0, 100});
      table.push_back({d, 3, 130, reduce, {1, 70}, 40, 0, 4, true});
    }
  int i = 0;
  for (const auto& c : table)
    cases.push_back({"column_stats",
                     "d" + std::to_string(c.head_dim) + "-reduce" + std::to_string(c.reduce) + "-len" + std::to_string(c.len) +
                         (c.has_bias ? "-bias-cap-sliding" : "") + "-" + std::to_string(i++),
                     [c](Outcome& outcome) { run_columns(c, outcome); }});
}

}  // namespace winnow::test
