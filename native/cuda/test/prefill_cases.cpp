#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

struct PrefillCase {
  int head_dim, num_query_heads, num_kv_heads, query_len, kv_len, q_offset;
  std::string plan = "dense";  ///< dense, window, list
  std::string source = "nhd";  ///< nhd, hnd, paged
  int sink_tokens = 0, window_tokens = 0, variant = 0;
  double density = 0.3;
};

std::string name_of(const PrefillCase& c) {
  std::string name = c.plan + "-" + c.source + "-d" + std::to_string(c.head_dim) + "-h" +
                     std::to_string(c.num_query_heads) + "/" + std::to_string(c.num_kv_heads) + "-q" +
                     std::to_string(c.query_len) + "-k" + std::to_string(c.kv_len) + "-o" + std::to_string(c.q_offset);
  if (c.plan == "window") name += "-s" + std::to_string(c.sink_tokens) + "-w" + std::to_string(c.window_tokens);
  if (c.plan == "list") name += "-density" + std::to_string(static_cast<int>(c.density * 100));
  return name + (c.variant ? "-v" + std::to_string(c.variant) : "");
}

void run_prefill(const PrefillCase& c, Outcome& outcome) {
  const size_t width = static_cast<size_t>(c.num_kv_heads) * c.head_dim;
  const auto q = normal_bf16(1, static_cast<size_t>(c.query_len) * c.num_query_heads * c.head_dim, 2);
  std::vector<uint16_t> k, v;
  const PagedCache cache(3, std::vector<int32_t>(c.num_kv_heads, c.source == "paged" ? c.kv_len : 0), c.head_dim);
  if (c.source != "paged") {
    k = normal_bf16(4, c.kv_len * width);
    v = normal_bf16(5, c.kv_len * width);
  }
  std::vector<int32_t> row_ptr, ids;
  if (c.plan == "list") {
    const int row_blocks = (c.query_len + 127) / 128, columns = (c.kv_len + 63) / 64;
    row_ptr.push_back(0);
    for (int i = 0; i < row_blocks * c.num_query_heads; i++) {
      // The first row block of head 0 stays empty: out 0, lse -inf.
      for (int j = 0; i > 0 && j < columns; j++)
        if (uniform(6, static_cast<uint64_t>(i) * columns + j) < c.density) ids.push_back(j);
      row_ptr.push_back(static_cast<int32_t>(ids.size()));
    }
    ids.push_back(0);
  }

  WnPrefillAttentionParams p{};
  p.num_query_heads = c.num_query_heads;
  p.num_kv_heads = c.num_kv_heads;
  p.head_dim = c.head_dim;
  p.query_len = c.query_len;
  p.kv_len = c.kv_len;
  p.q_offset = c.q_offset;
  p.kv_token_stride = c.source == "hnd" ? c.head_dim : width;
  p.kv_head_stride = c.source == "hnd" ? static_cast<int64_t>(c.kv_len) * c.head_dim : c.head_dim;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  p.sink_tokens = c.sink_tokens;
  p.window_tokens = c.window_tokens;
  p.num_pages = cache.num_pages;
  p.page_table_stride = cache.stride;
  p.variant = c.variant;

  WnPrefillAttentionParams host = p;
  host.q = q.data();
  host.k = k.data();
  host.v = v.data();
  host.block_row_ptr = row_ptr.empty() ? nullptr : row_ptr.data();
  host.block_ids = ids.data();
  host.pages = c.source == "paged" ? cache.pages.data() : nullptr;
  host.page_table = cache.table.data();
  std::vector<double> want(q.size()), want_lse(static_cast<size_t>(c.query_len) * c.num_query_heads);
  prefill_attention_ref(host, want.data(), want_lse.data());

  Device device(outcome);
  p.q = device.upload(q);
  if (c.source == "paged") {
    p.pages = device.upload(cache.pages);
    p.page_table = device.upload(cache.table);
  } else {
    p.k = device.upload(k);
    p.v = device.upload(v);
  }
  if (!row_ptr.empty()) {
    p.block_row_ptr = device.upload(row_ptr);
    p.block_ids = device.upload(ids);
  }
  // Fixed order, then handed out twice over the same counters, which must be left at zero. The order must not matter.
  auto* scheduler = device.zeroed<int32_t>(2);
  std::vector<uint16_t> first;
  for (int run = 0; run < 3; run++) {
    p.scheduler = run == 0 ? nullptr : scheduler;
    p.lse_by_token = run == 2;
    auto* out = device.poisoned<uint16_t>(q.size());
    auto* lse = device.poisoned<float>(want_lse.size());
    p.out = out;
    p.lse = lse;
    if (!device.finish(wn_prefill_attention(&p, nullptr))) return;
    const auto got = device.download(out, q.size());
    compare(outcome, widen(got), want, 6e-3);
    auto got_lse = device.download(lse, want_lse.size());
    if (p.lse_by_token) {
      const auto by_token = got_lse;
      for (size_t i = 0; i < by_token.size(); i++) got_lse[i % c.num_query_heads * c.query_len + i / c.num_query_heads] = by_token[i];
    }
    compare_lse(outcome, got_lse, want_lse, 2e-3);
    if (run > 0) compare_exact(outcome, got, first, "another order");
    first = got;
  }
  compare_exact(outcome, device.download(scheduler, 2), std::vector<int32_t>{0, 0}, "scheduler");
}

}  // namespace

void add_prefill_cases(Cases& cases) {
  std::vector<PrefillCase> table;
  for (int d : {64, 128, 256})
    for (int n : {1, 3, 15, 16, 17, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257, 500})
      table.push_back({d, 2, 1, n, n, 0});
  for (int d : {64, 128, 256}) {
    for (int group : {1, 4, 7}) table.push_back({d, 2 * group, 2, 130, 130, 0});
    for (int offset : {1, 63, 64, 399, 1000}) table.push_back({d, 2, 1, 33, 400, offset});
    table.push_back({d, 4, 2, 300, 300, 0, "dense", "hnd"});
    table.push_back({d, 3, 3, 1, 700, 699});
    table.push_back({d, 70, 2, 300, 300, 0});  // more tiles than multiprocessors
    for (int n : {1, 17, 64, 65, 200, 400}) {
      table.push_back({d, 2, 1, n, n, 0, "dense", "paged"});
      table.push_back({d, 2, 2, n, n + 130, 130, "dense", "paged"});
    }
    for (auto [sink, window] : {std::pair{4, 100}, {0, 1}, {70, 64}, {0, 130}, {128, 500}, {1, 129}})
      for (std::string source : {"nhd", "paged"})
        table.push_back({d, 2, 1, 450, 450, 0, "window", source, sink, window});
    for (std::string source : {"nhd", "paged"}) table.push_back({d, 2, 1, 150, 600, 450, "window", source, 5, 77});
    table.push_back({d, 4, 2, 300, 1300, 1000, "window", "paged", 4, 1});
    for (int n : {1, 65, 200, 400}) {
      table.push_back({d, 2, 2, n, n + 130, 130, "window", "paged", 5, 77});
      table.push_back({d, 4, 2, n, n + 130, 130, "list", "nhd", 0, 0, 0, 0.4});
    }
    for (int n : {1, 64, 80, 81, 160, 200, 384, 500}) {
      table.push_back({d, 2, 2, n, n, 0});
      table.push_back({d, 2, 1, n, n + 330, 330, "window", "nhd", 5, 177});
    }
    table.push_back({d, 70, 2, 300, 300, 0, "list", "paged", 0, 0, 0, 0.3});
    table.push_back({d, 2, 1, 200, 3000, 2800, "list", "paged", 0, 0, 0, 0.5});
    for (double density : {0.0, 0.1, 0.4, 1.0})
      for (std::string source : {"nhd", "paged"}) {
        table.push_back({d, 4, 2, 300, 300, 0, "list", source, 0, 0, 0, density});
        table.push_back({d, 2, 1, 200, 650, 450, "list", source, 0, 0, 0, density});
        if (d == 128) table.push_back({d, 6, 2, 400, 850, 450, "list", source, 0, 0, 0, density});  // several tiles a block
      }
  }
  // By the portable kernel.
  for (int d : {64, 128, 256}) {
    for (int n : {1, 17, 128, 200}) table.push_back({d, 4, 2, n, n + 30, 30, "dense", "nhd", 0, 0, 20});
    table.push_back({d, 2, 1, 33, 200, 1000, "dense", "hnd", 0, 0, 20});
    table.push_back({d, 4, 2, 200, 330, 130, "dense", "paged", 0, 0, 20});
    for (std::string source : {"nhd", "paged"}) {
      table.push_back({d, 4, 2, 200, 450, 250, "window", source, 70, 90, 20});
      table.push_back({d, 2, 1, 300, 420, 120, "list", source, 0, 0, 20, 0.4});
    }
  }
  for (const auto& c : table)
    cases.push_back({"prefill_attention", name_of(c), [c](Outcome& outcome) { run_prefill(c, outcome); }});
}

}  // namespace winnow::test
