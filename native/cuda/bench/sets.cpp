#include <algorithm>
#include <cmath>
#include <random>

#include "bench.h"

namespace winnow::bench {
namespace {

/// Llama 3.1 8B's heads over a prompt, or over one token behind it.
constexpr int kDim = 128, kHeads = 32, kKvHeads = 8;

/// What the runs share: tensors of `queries` tokens behind a cache of `tokens`.
WnAttendSetsParams base_params(Bench& bench, int tokens, int queries) {
  WnAttendSetsParams p{};
  const int64_t q_size = static_cast<int64_t>(queries) * kHeads * kDim;
  p.cache.pages = bench.random_bf16(static_cast<int64_t>(tokens) * kKvHeads * kDim * 2);
  std::vector<int32_t> table(static_cast<size_t>(tokens / 64) * kKvHeads);
  for (size_t i = 0; i < table.size(); i++) table[i] = static_cast<int32_t>(i);
  std::shuffle(table.begin(), table.end(), std::mt19937(3));
  p.cache.page_table = bench.upload(table);
  p.cache.kv_lens = bench.upload(std::vector<int32_t>(kKvHeads, tokens));
  p.cache.rows = 1;
  p.cache.num_kv_heads = kKvHeads;
  p.cache.head_dim = kDim;
  p.cache.page_table_stride = tokens / 64;
  p.q = bench.random_bf16(q_size);
  p.out = bench.zeroed(q_size * 2);
  p.lse = static_cast<float*>(bench.zeroed(static_cast<int64_t>(queries) * kHeads * 4));
  p.results = static_cast<int64_t*>(bench.zeroed(16));
  p.num_query_heads = kHeads;
  p.query_len = queries;
  p.max_slots = tokens;
  p.keys_rotated = 1;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(kDim));
  p.heads[0] = ~0u;
  return p;
}

WnKeyLists upload_lists(Bench& bench, const std::vector<std::vector<int32_t>>& lists, int per_row) {
  size_t longest = 1;
  for (const auto& list : lists) longest = std::max(longest, list.size());
  std::vector<int32_t> values, lens;
  for (const auto& list : lists) {
    lens.push_back(static_cast<int32_t>(list.size()));
    values.insert(values.end(), list.begin(), list.end());
    values.resize(values.size() + longest - list.size(), -1);
  }
  return {bench.upload(values), bench.upload(lens), per_row, static_cast<int32_t>(lists.size()) / per_row,
          static_cast<int32_t>(longest)};
}

/// One run for the number of pairs, then the timing beside Hopper's dense kernel on the same pages.
void run_sets(Bench& bench, const std::string& name, WnAttendSetsParams p) {
  p.num_pages = p.cache.page_table_stride * kKvHeads;
  p.scheduler = static_cast<int32_t*>(bench.zeroed(8));
  p.workspace_bytes = wn_attend_sets_workspace_bytes(&p);
  p.workspace = bench.zeroed(p.workspace_bytes);
  wn_attend_sets(&p, nullptr);
  int64_t pairs[2] = {0, 0};
  cudaMemcpy(pairs, p.results, sizeof(pairs), cudaMemcpyDeviceToHost);
  const int64_t tokens = p.max_slots, first = tokens - p.query_len;
  const double all = static_cast<double>(kHeads) * p.query_len * (first + 0.5 * (p.query_len + 1.0));
  const std::string shape = "{\"headDim\":128,\"numQueryHeads\":32,\"numKvHeads\":8,\"queryLen\":" + std::to_string(p.query_len) +
                            ",\"kvLen\":" + std::to_string(tokens) + ",\"density\":" + std::to_string(pairs[0] / all) + "}";
  std::vector<Job> rivals{{name, "winnow", shape, 4.0 * kDim * static_cast<double>(pairs[0]), 0, 1, "does not matter",
                           [=](int, cudaStream_t stream) { return wn_attend_sets(&p, stream); }}};
  if (p.query_len > 1) {
    WnAttendSetsParams planned = p;
    planned.variant = 2;
    rivals.push_back({name, "winnow-plan-only", shape, rivals[0].flop, 0, 1, "does not matter",
                      [=](int, cudaStream_t stream) { return wn_attend_sets(&planned, stream); }});
    WnPrefillAttentionParams dense{};
    dense.q = p.q;
    dense.out = p.out;
    dense.pages = p.cache.pages;
    dense.page_table = p.cache.page_table;
    dense.page_table_stride = p.cache.page_table_stride;
    dense.num_pages = p.cache.page_table_stride * kKvHeads;
    dense.scheduler = static_cast<int32_t*>(bench.zeroed(8));
    dense.num_query_heads = kHeads;
    dense.num_kv_heads = kKvHeads;
    dense.head_dim = kDim;
    dense.query_len = p.query_len;
    dense.kv_len = static_cast<int32_t>(tokens);
    dense.q_offset = static_cast<int32_t>(first);
    dense.softmax_scale = p.softmax_scale;
    rivals.push_back({name, "winnow-dense", shape, 4.0 * kDim * all, 0, 1, "does not matter",
                      [=](int, cudaStream_t stream) { return wn_prefill_attention(&dense, stream); }});
  }
  bench.run(rivals);
  bench.release();
}

/// A thousand columns and two hundred diagonals a query head: half of the diagonals near, half in runs of ten, or each anywhere.
void bench_slash(Bench& bench, int tokens, bool is_spread) {
  const std::string name = std::string("sets-slash-") + (is_spread ? "spread-" : "") + std::to_string(tokens);
  if (!bench.wants(name)) return;
  WnAttendSetsParams p = base_params(bench, tokens, tokens);
  std::vector<std::vector<int32_t>> columns, diagonals;
  std::mt19937 engine(6);
  for (int head = 0; head < kHeads; head++) {
    std::vector<int32_t> chosen, near;
    for (int i = 0; i < 1000; i++) chosen.push_back(static_cast<int32_t>(engine() % tokens));
    for (int i = 0; i < 100; i++) near.push_back(i);
    for (int run = 0; is_spread && run < 100; run++) near.push_back(static_cast<int>(engine() % tokens));
    for (int run = 0; !is_spread && run < 10; run++) {
      const int begin = 100 + static_cast<int>(engine() % (tokens - 200));
      for (int i = 0; i < 10; i++) near.push_back(begin + i);
    }
    for (auto* list : {&chosen, &near}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    columns.push_back(chosen);
    diagonals.push_back(near);
  }
  p.sets[0].kind = WN_SET_VERTICAL_SLASH;
  p.sets[0].lists = upload_lists(bench, columns, kHeads);
  p.sets[0].diagonals = upload_lists(bench, diagonals, kHeads);
  p.num_sets = 1;
  run_sets(bench, name, p);
}

/// Lists of 64-token blocks for each KV or query head and query block: the first, the last ones and others up to the density.
void bench_blocks(Bench& bench, int tokens, int query_block, double density, int lists_per_row = kKvHeads) {
  const std::string name = "sets-blocks" + std::to_string(query_block) + "-" + std::to_string(tokens) + "-" +
                           std::to_string(static_cast<int>(density * 100)) + "%" + (lists_per_row == kHeads ? "-by-query-head" : "");
  if (!bench.wants(name)) return;
  WnAttendSetsParams p = base_params(bench, tokens, tokens);
  std::vector<std::vector<int32_t>> lists;
  std::mt19937 engine(7);
  for (int head = 0; head < lists_per_row; head++)
    for (int begin = 0; begin < tokens; begin += query_block) {
      const int visible = (begin + query_block) / 64;
      lists.emplace_back();
      for (int block = 0; block < visible; block++)
        if (block == 0 || block >= visible - query_block / 64 || engine() < density * 4294967295.0) lists.back().push_back(block);
    }
  p.sets[0].kind = WN_SET_PAGES;
  p.sets[0].page_size = 64;
  p.sets[0].query_block = query_block;
  p.sets[0].lists = upload_lists(bench, lists, lists_per_row);
  p.num_sets = 1;
  run_sets(bench, name, p);
}

/// Half of the heads see a window, as where the others see everything.
void bench_heads(Bench& bench, int tokens) {
  const std::string name = "sets-window-heads-" + std::to_string(tokens);
  if (!bench.wants(name)) return;
  WnAttendSetsParams p = base_params(bench, tokens, tokens);
  p.sets[0].kind = WN_SET_WINDOW;
  p.sets[0].sink = 64;
  p.sets[0].recent = 4096;
  p.num_sets = 1;
  p.heads[0] = 0x0000ffff;
  run_sets(bench, name, p);
}

/// One token: a twentieth of the slots, single, and the last 256.
void bench_token(Bench& bench, int tokens) {
  const std::string name = "sets-token-" + std::to_string(tokens) + "-5%";
  if (!bench.wants(name)) return;
  WnAttendSetsParams p = base_params(bench, tokens, 1);
  std::vector<std::vector<int32_t>> lists(kKvHeads);
  std::mt19937 engine(8);
  for (auto& list : lists)
    for (int slot = 0; slot < tokens; slot++)
      if (engine() % 20 == 0) list.push_back(slot);
  p.sets[0].kind = WN_SET_SLOTS;
  p.sets[0].lists = upload_lists(bench, lists, kKvHeads);
  p.sets[1].kind = WN_SET_WINDOW;
  p.sets[1].recent = 256;
  p.num_sets = 2;
  run_sets(bench, name, p);
}

}  // namespace

void bench_sets(Bench& bench) {
  for (bool is_spread : {false, true}) bench_slash(bench, 32768, is_spread);
  for (double density : {0.25, 0.1}) bench_blocks(bench, 32768, 128, density);
  for (int lists : {kKvHeads, kHeads}) bench_blocks(bench, 32768, 64, 0.1, lists);
  bench_heads(bench, 32768);
  bench_token(bench, 131072);
}

}  // namespace winnow::bench
