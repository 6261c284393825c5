#include <algorithm>
#include <cmath>

#include "bench.h"

namespace winnow::bench {
namespace {

/// What SnapKV runs after one layer's prefill: scores, top-k, compaction; 32 query and 8 KV heads.
void bench_snapkv(Bench& bench, int tokens, int window, int budget) {
  const std::string name = "snapkv-" + std::to_string(tokens) + "-w" + std::to_string(window);
  if (!bench.wants(name)) return;
  const int heads = 32, kv_heads = 8, d = 128, scored = tokens - window;
  const std::string shape = "{\"headDim\":128,\"numQueryHeads\":32,\"numKvHeads\":8,\"kvLen\":" + std::to_string(tokens) +
                            ",\"observationWindow\":" + std::to_string(window) + ",\"tokenBudget\":" +
                            std::to_string(budget) + "}";
  const int pages = tokens / 64, kept_pages = (budget + 63) / 64;
  std::vector<int32_t> source_table(static_cast<size_t>(kv_heads) * pages), target_table(static_cast<size_t>(kv_heads) * kept_pages);
  for (size_t i = 0; i < source_table.size(); i++) source_table[i] = static_cast<int32_t>(i);
  for (size_t i = 0; i < target_table.size(); i++) target_table[i] = static_cast<int32_t>(i);
  uint16_t* arena = bench.random_bf16(static_cast<int64_t>(kv_heads) * pages * 128 * d);
  const int32_t* table = bench.upload(source_table);
  WnWindowScoresParams w{};
  w.q = bench.random_bf16(static_cast<int64_t>(window) * heads * d);
  w.cache = {arena, table, bench.upload(std::vector<int32_t>(kv_heads, tokens)), nullptr, nullptr, nullptr, 1, kv_heads, d, pages};
  w.scores = static_cast<float*>(bench.zeroed(static_cast<int64_t>(kv_heads) * tokens * 4));
  w.window = window;
  w.num_query_heads = heads;
  w.max_len = tokens;
  w.pool = WN_POOL_MEAN;
  w.pool_width = 5;
  w.gqa = WN_GQA_MEAN;
  w.softmax_scale = 1 / std::sqrt(128.0f);
  w.workspace_bytes = wn_window_scores_workspace_bytes(&w);
  w.workspace = bench.zeroed(w.workspace_bytes);
  bench.run({name + "-window-scores", "winnow", shape, 4.0 * window * heads * d * tokens, 4.0 * tokens * kv_heads * d, 4,
             "warm where it fits", [&](int, cudaStream_t stream) { return wn_window_scores(&w, stream); }});

  WnTopKParams k{};
  k.scores = bench.random_float(static_cast<int64_t>(kv_heads) * scored);
  k.num_lists = kv_heads;
  k.length = scored;
  k.indices_stride = budget;
  k.counts = bench.upload(std::vector<int32_t>(kv_heads, budget));
  k.indices = static_cast<int32_t*>(bench.zeroed(static_cast<int64_t>(kv_heads) * budget * 4));
  k.lens = static_cast<int32_t*>(bench.zeroed(kv_heads * 4));
  k.lists_per_budget = 1;
  k.workspace_bytes = wn_top_k_workspace_bytes(&k);
  k.workspace = bench.zeroed(k.workspace_bytes);
  for (int together : {kv_heads, 1}) {
    k.lists_per_budget = together;
    const std::string kind = together == 1 ? "-top-k" : "-top-k-flat";
    bench.run({name + kind, "winnow", shape, 0, 4.0 * kv_heads * scored, 4, "warm",
               [&](int, cudaStream_t stream) { return wn_top_k(&k, stream); }});
  }
  wn_top_k(&k, nullptr);

  WnGatherCompactParams g{};
  g.source = arena;
  g.target = bench.zeroed(static_cast<int64_t>(kv_heads) * kept_pages * 256 * d);
  g.source_table = table;
  g.target_table = bench.upload(target_table);
  g.indices = k.indices;
  g.counts = k.lens;
  g.num_rows = kv_heads;
  g.head_dim = d;
  g.source_stride = pages;
  g.target_stride = kept_pages;
  g.indices_stride = budget;
  bench.run({name + "-gather-compact", "winnow", shape, 0, 8.0 * kv_heads * budget * d, 4, "warm",
             [&](int, cudaStream_t stream) { return wn_gather_compact(&g, stream); }});
  bench.release();
}

}  // namespace

void bench_selection(Bench& bench) {
  bench_snapkv(bench, 32768, 32, 2048);
  bench_snapkv(bench, 32768, 64, 2048);
  bench_snapkv(bench, 131072, 32, 2048);
}

}  // namespace winnow::bench
