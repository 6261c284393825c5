#include <algorithm>
#include <cmath>
#include <random>

#include "bench.h"

namespace winnow::bench {
namespace {

std::string text(int64_t n) { return std::to_string(n); }

/// Beside the variants of the contract: tiles in a fixed order rather than handed out.
constexpr int kFixedOrder = 1 << 30;

struct PrefillShape {
  int head_dim, query_heads, kv_heads, tokens;
};
double causal_flop(const PrefillShape& s) {
  return 4.0 * s.head_dim * s.query_heads * (0.5 * s.tokens * (s.tokens + 1.0));
}
std::string prefill_shape(const PrefillShape& s) {
  return "{\"headDim\":" + text(s.head_dim) + ",\"numQueryHeads\":" + text(s.query_heads) + ",\"numKvHeads\":" +
         text(s.kv_heads) + ",\"queryLen\":" + text(s.tokens) + "}";
}

/// Pages 0, 1, 2 … of each head: the arena of `heads` heads with `tokens` tokens, in a shuffled order.
std::vector<int32_t> shuffled_table(int heads, int pages_per_head) {
  std::vector<int32_t> table(static_cast<size_t>(heads) * pages_per_head);
  for (size_t i = 0; i < table.size(); i++) table[i] = static_cast<int32_t>(i);
  std::mt19937 engine(3);
  std::shuffle(table.begin(), table.end(), engine);
  return table;
}

WnPrefillAttentionParams prefill_params(Bench& bench, const PrefillShape& s, bool paged) {
  WnPrefillAttentionParams p{};
  const int64_t q_size = static_cast<int64_t>(s.tokens) * s.query_heads * s.head_dim;
  const int64_t kv_size = static_cast<int64_t>(s.tokens) * s.kv_heads * s.head_dim;
  p.q = bench.random_bf16(q_size);
  p.out = bench.zeroed(q_size * 2);
  p.lse = static_cast<float*>(bench.zeroed(static_cast<int64_t>(s.tokens) * s.query_heads * 4));
  if (paged) {
    p.pages = bench.random_bf16(2 * kv_size);
    p.num_pages = s.tokens / 64 * s.kv_heads;
    p.page_table_stride = s.tokens / 64;
    p.page_table = bench.upload(shuffled_table(s.kv_heads, s.tokens / 64));
  } else {
    p.k = bench.random_bf16(kv_size);
    p.v = bench.random_bf16(kv_size);
  }
  p.scheduler = static_cast<int32_t*>(bench.zeroed(8));
  p.num_query_heads = s.query_heads;
  p.num_kv_heads = s.kv_heads;
  p.head_dim = s.head_dim;
  p.query_len = p.kv_len = s.tokens;
  p.kv_token_stride = static_cast<int64_t>(s.kv_heads) * s.head_dim;
  p.kv_head_stride = s.head_dim;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(s.head_dim));
  return p;
}

void bench_prefill(Bench& bench, const PrefillShape& s, const std::vector<int>& variants, bool paged) {
  const std::string name = "prefill-d" + text(s.head_dim) + "-h" + text(s.query_heads) + "/" + text(s.kv_heads) + "-" +
                           text(s.tokens);
  if (!bench.wants(name)) return;
  const WnPrefillAttentionParams p = prefill_params(bench, s, paged);
  std::vector<Job> rivals;
  for (int variant : variants) {
    WnPrefillAttentionParams own = p;
    own.variant = variant & ~kFixedOrder;
    if (variant & kFixedOrder) own.scheduler = nullptr;
    rivals.push_back({name,
                      std::string("winnow") + (paged ? "-paged" : "") + (own.variant ? "-v" + text(own.variant) : "") +
                          (variant & kFixedOrder ? "-fixed" : ""),
                      prefill_shape(s), causal_flop(s), 0, 1, "does not matter",
                      [own](int, cudaStream_t stream) { return wn_prefill_attention(&own, stream); }});
  }
  bench.run(rivals);
  bench.release();
}

/// Block lists with the diagonal, the first block and random others up to the density.
void bench_lists(Bench& bench, const PrefillShape& s, double density) {
  const std::string name = "prefill-list-d" + text(s.head_dim) + "-" + text(s.tokens) + "-" +
                           text(static_cast<int64_t>(density * 100)) + "%";
  if (!bench.wants(name)) return;
  WnPrefillAttentionParams p = prefill_params(bench, s, false);
  std::vector<int32_t> row_ptr{0}, ids;
  std::mt19937 engine(4);
  const int row_blocks = s.tokens / 128;
  for (int head = 0; head < s.query_heads; head++)
    for (int i = 0; i < row_blocks; i++) {
      const int visible = 2 * i + 2;
      for (int block = 0; block < visible; block++)
        if (block == 0 || block >= visible - 2 || engine() < density * 4294967295.0) ids.push_back(block);
      row_ptr.push_back(static_cast<int32_t>(ids.size()));
    }
  p.block_row_ptr = bench.upload(row_ptr);
  p.block_ids = bench.upload(ids);
  const double dense_blocks = static_cast<double>(s.query_heads) * row_blocks * (row_blocks + 1.0);
  const double measured = static_cast<double>(ids.size()) / dense_blocks;
  std::string shape = prefill_shape(s);
  shape.insert(shape.size() - 1, ",\"density\":" + std::to_string(measured));
  // The dense kernel on the same tensors takes turns with it: the ratio of the two is what counts.
  WnPrefillAttentionParams dense = p;
  dense.block_row_ptr = nullptr;
  std::vector<Job> rivals{{name, "winnow-dense", prefill_shape(s), causal_flop(s), 0, 1, "does not matter",
                           [=](int, cudaStream_t stream) { return wn_prefill_attention(&dense, stream); }}};
  rivals.push_back({name, "winnow", shape, causal_flop(s) * measured, 0, 1, "does not matter",
                    [=](int, cudaStream_t stream) { return wn_prefill_attention(&p, stream); }});
  bench.run(rivals);
  bench.release();
}

void bench_window(Bench& bench, const PrefillShape& s, int sink, int window) {
  const std::string name = "prefill-window-d" + text(s.head_dim) + "-" + text(s.tokens) + "-" + text(window);
  if (!bench.wants(name)) return;
  WnPrefillAttentionParams p = prefill_params(bench, s, false);
  p.sink_tokens = sink;
  p.window_tokens = window;
  const double pairs = static_cast<double>(s.tokens) * (window + sink) - 0.5 * window * window;
  bench.run({name, "winnow", prefill_shape(s), 4.0 * s.head_dim * s.query_heads * pairs, 0, 1, "does not matter",
             [&](int, cudaStream_t stream) { return wn_prefill_attention(&p, stream); }});
  bench.release();
}

struct DecodeShape {
  int head_dim, group_size, kv_heads, batch, tokens;
  int page = 64;  ///< slots of a selected page
};

void bench_decode(Bench& bench, const DecodeShape& s, int selection, double share) {
  static const char* const kinds[] = {"all", "pages", "tokens"};
  const std::string name = std::string("decode-") + kinds[selection] + "-d" + text(s.head_dim) + "-h" +
                           text(s.group_size * s.kv_heads) + "/" + text(s.kv_heads) + "-b" + text(s.batch) + "-" +
                           text(s.tokens) + (selection ? "-" + text(static_cast<int64_t>(share * 100)) + "%" : "") +
                           (s.page < 64 ? "-page" + text(s.page) : "");
  if (!bench.wants(name)) return;
  const int segments = s.batch * s.kv_heads, pages_per_segment = (s.tokens + 63) / 64;
  const int64_t token_bytes = 4 * s.head_dim;
  const double bytes = static_cast<double>(segments) * s.tokens * token_bytes * (selection ? share : 1);
  // Enough input sets for 200 MB, so that no call finds its data in the L2.
  const int by_size = static_cast<int>(200e6 / bytes) + 1;
  const int sets = selection ? std::min(by_size, static_cast<int>(1 / share)) : std::min(by_size, 64);
  WnDecodeAttentionParams p{};
  p.batch = s.batch;
  p.num_kv_heads = s.kv_heads;
  p.num_query_heads = s.kv_heads * s.group_size;
  p.head_dim = s.head_dim;
  const int arenas = selection ? 1 : sets;
  p.num_pages = segments * pages_per_segment * arenas;
  p.page_table_stride = pages_per_segment;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(s.head_dim));
  p.selection = selection;
  p.selected_page = s.page;
  p.pages = bench.random_bf16(static_cast<int64_t>(p.num_pages) * 128 * s.head_dim);
  p.q = bench.random_bf16(static_cast<int64_t>(s.batch) * p.num_query_heads * s.head_dim);
  p.out = bench.zeroed(static_cast<int64_t>(s.batch) * p.num_query_heads * s.head_dim * 2);
  p.lse = static_cast<float*>(bench.zeroed(static_cast<int64_t>(s.batch) * p.num_query_heads * 4));
  p.workspace_bytes = wn_decode_attention_workspace_bytes(&p);
  p.workspace = bench.zeroed(p.workspace_bytes);
  p.kv_lens = bench.upload(std::vector<int32_t>(segments, s.tokens));
  const int32_t* table = bench.upload(shuffled_table(segments * arenas, pages_per_segment));
  const int units = selection == WN_SELECT_PAGES ? s.tokens / s.page : s.tokens;
  const int chosen = static_cast<int>(units * share);
  const int32_t* selected = nullptr;
  if (selection) {
    // Set i takes one random unit of every stretch of 1 / share, so that sets hardly overlap.
    std::vector<int32_t> ids;
    std::mt19937 engine(5);
    for (int64_t i = 0; i < static_cast<int64_t>(sets) * segments; i++)
      for (int j = 0; j < chosen; j++)
        ids.push_back(static_cast<int32_t>(std::min<double>(units - 1, (j + engine() / 4294967296.0) / share)));
    selected = bench.upload(ids);
    p.selected_lens = bench.upload(std::vector<int32_t>(segments, chosen));
    p.selected_stride = chosen;
  }
  const std::string shape = "{\"headDim\":" + text(s.head_dim) + ",\"numQueryHeads\":" + text(p.num_query_heads) +
                            ",\"numKvHeads\":" + text(s.kv_heads) + ",\"batch\":" + text(s.batch) + ",\"kvLen\":" +
                            text(s.tokens) + ",\"visited\":" + text(selection == WN_SELECT_PAGES ? chosen * s.page : selection ? chosen : s.tokens) + "}";
  const int calls = std::max(sets, 4);
  const std::string l2 = "cold: " + text(sets) + " input sets in turn";
  std::vector<Job> rivals{{name, "winnow", shape, 0, bytes, calls, l2, [=](int call, cudaStream_t stream) {
                             WnDecodeAttentionParams set = p;
                             const int64_t i = call % sets;
                             set.page_table = table + (selection ? 0 : i * segments * pages_per_segment);
                             set.selected = selection ? selected + i * segments * chosen : nullptr;
                             return wn_decode_attention(&set, stream);
                           }}};
  // The portable kernel on the same tensors takes turns with it.
  WnAttentionAnyParams any{};
  any.q = p.q;
  any.pages = p.pages;
  any.kv_lens = p.kv_lens;
  any.index_lens = p.selected_lens;
  any.out = p.out;
  any.lse = p.lse;
  any.rows = s.batch;
  any.query_len = 1;
  any.num_query_heads = p.num_query_heads;
  any.num_kv_heads = s.kv_heads;
  any.head_dim = s.head_dim;
  any.page_table_stride = pages_per_segment;
  any.index_stride = p.selected_stride;
  any.list = selection ? WN_LIST_KV_HEAD : WN_LIST_NONE;
  any.page_size = selection == WN_SELECT_PAGES ? s.page : 0;
  any.softmax_scale = p.softmax_scale;
  any.workspace_bytes = wn_attention_any_workspace_bytes(&any);
  any.workspace = bench.zeroed(any.workspace_bytes);
  rivals.push_back({name, "winnow-any", shape, 0, bytes, calls, l2, [=](int call, cudaStream_t stream) {
                      WnAttentionAnyParams set = any;
                      const int64_t i = call % sets;
                      set.page_table = table + (selection ? 0 : i * segments * pages_per_segment);
                      set.indices = selection ? selected + i * segments * chosen : nullptr;
                      return wn_attention_any(&set, stream);
                    }});
  bench.run(rivals);
  bench.release();
}

/// The portable kernels over a whole prompt, plain and with what only they do.
void bench_any(Bench& bench, const PrefillShape& s, const std::vector<int>& variants) {
  const std::string name = "any-prefill-d" + text(s.head_dim) + "-" + text(s.tokens);
  if (!bench.wants(name)) return;
  const WnPrefillAttentionParams dense = prefill_params(bench, s, true);
  WnAttentionAnyParams p{};
  p.q = dense.q;
  p.pages = dense.pages;
  p.page_table = dense.page_table;
  p.kv_lens = bench.upload(std::vector<int32_t>(s.kv_heads, s.tokens));
  p.out = dense.out;
  p.lse = dense.lse;
  p.rows = 1;
  p.query_len = s.tokens;
  p.num_query_heads = s.query_heads;
  p.num_kv_heads = s.kv_heads;
  p.head_dim = s.head_dim;
  p.page_table_stride = dense.page_table_stride;
  p.softmax_scale = dense.softmax_scale;
  WnAttentionAnyParams windowed = p, capped = p, sliding = p;
  std::vector<int32_t> windows, positions(static_cast<size_t>(s.tokens) * s.kv_heads);
  for (int h = 0; h < s.query_heads; h++) windows.insert(windows.end(), {64, 4096});
  windowed.windows = bench.upload(windows);
  capped.soft_cap = 50;
  const auto table = shuffled_table(s.kv_heads, s.tokens / 64);
  for (size_t i = 0; i < positions.size(); i++) positions[table[i / 64] * 64 + i % 64] = static_cast<int32_t>(i % s.tokens);
  sliding.positions = bench.upload(positions);
  sliding.sliding_window = 4096;
  const double pairs = 4096.0 * s.tokens - 0.5 * 4096 * 4096;
  std::vector<Job> rivals;
  for (int variant : variants) {
    auto add = [&](const char* what, WnAttentionAnyParams own, double flop) {
      own.variant = variant;
      own.workspace_bytes = wn_attention_any_workspace_bytes(&own);
      own.workspace = bench.zeroed(own.workspace_bytes + 16);
      rivals.push_back({name, std::string("winnow") + what + (variant ? "-v" + text(variant) : ""), prefill_shape(s), flop, 0, 1,
                        "does not matter", [=](int, cudaStream_t stream) { return wn_attention_any(&own, stream); }});
    };
    add("", p, causal_flop(s));
    add("-cap", capped, causal_flop(s));
    add("-window-4096", windowed, 4.0 * s.head_dim * s.query_heads * pairs);
    if (variant != 2) add("-sliding-4096", sliding, 4.0 * s.head_dim * s.query_heads * pairs);
  }
  bench.run(rivals);
  bench.release();
}

}  // namespace

void bench_attention(Bench& bench) {
  bench_decode(bench, {128, 4, 8, 1, 131072}, WN_SELECT_ALL, 1);
  bench_decode(bench, {128, 4, 8, 1, 32768}, WN_SELECT_ALL, 1);
  bench_decode(bench, {128, 4, 8, 1, 2048}, WN_SELECT_ALL, 1);
  bench_decode(bench, {128, 4, 8, 16, 8192}, WN_SELECT_ALL, 1);
  bench_decode(bench, {64, 4, 8, 1, 131072}, WN_SELECT_ALL, 1);
  bench_decode(bench, {256, 4, 4, 1, 131072}, WN_SELECT_ALL, 1);
  for (double share : {0.05, 0.25}) {
    bench_decode(bench, {128, 4, 8, 1, 131072}, WN_SELECT_PAGES, share);
    bench_decode(bench, {128, 4, 8, 1, 131072}, WN_SELECT_TOKENS, share);
  }
  // More rows: what evicting methods and selections of a batch read.
  bench_decode(bench, {128, 4, 8, 64, 2048}, WN_SELECT_ALL, 1);
  bench_decode(bench, {128, 4, 8, 16, 2048}, WN_SELECT_ALL, 1);
  bench_decode(bench, {128, 4, 8, 3, 131072}, WN_SELECT_ALL, 1);
  bench_decode(bench, {128, 4, 8, 8, 131072}, WN_SELECT_PAGES, 0.05);
  bench_decode(bench, {128, 4, 8, 8, 131072}, WN_SELECT_TOKENS, 0.05);
  bench_decode(bench, {128, 4, 8, 16, 8192, 16}, WN_SELECT_PAGES, 0.5);
  bench_any(bench, {64, 32, 8, 16384}, {0, 2});
  bench_any(bench, {96, 32, 32, 16384}, {0, 2});
  bench_any(bench, {128, 32, 8, 16384}, {0, 2});
  bench_any(bench, {256, 16, 8, 16384}, {0, 2});
  bench_prefill(bench, {128, 32, 8, 16384}, {0, kFixedOrder}, false);
  bench_prefill(bench, {128, 32, 8, 32768}, {0, kFixedOrder}, false);
  bench_prefill(bench, {128, 32, 8, 32768}, {0}, true);
  bench_prefill(bench, {64, 32, 8, 16384}, {0}, false);
  bench_prefill(bench, {256, 16, 8, 16384}, {0}, false);
  bench_prefill(bench, {128, 32, 8, 131072}, {0}, false);
  for (double density : {1.0, 0.25, 0.1, 0.05}) bench_lists(bench, {128, 32, 8, 32768}, density);
  bench_lists(bench, {128, 32, 8, 131072}, 0.05);
  bench_window(bench, {128, 32, 8, 32768}, 64, 4096);
}

}  // namespace winnow::bench
