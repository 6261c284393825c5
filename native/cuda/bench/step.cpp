#include <algorithm>
#include <string>

#include "bench.h"

namespace winnow::bench {
namespace {

/// One model's decode step without embedding and head: a chain of layers with weights and caches of their own, so that what
/// lies between the kernels is timed with them.
struct Chain {
  int layers, hidden, ffn, heads, kv_heads, head_dim, slots, rows;
  int qkv_rows() const { return (heads + 2 * kv_heads) * head_dim; }
  int64_t layer_weights() const {
    return static_cast<int64_t>(hidden) * (qkv_rows() + heads * head_dim + 3 * ffn);
  }
  int64_t pages_of_layer() const { return static_cast<int64_t>(rows) * kv_heads * stride(); }
  int stride() const { return slots / WN_PAGE_SIZE + 1; }
};

/// A way to issue the chain.
struct Way {
  std::string name;
  bool norms_inside;  ///< of the product that follows, for one row
  bool is_captured;
  int path = WN_LINEAR_CHOOSE_STEP;  ///< of all products
};

struct Memory {
  const uint16_t* weights;
  float *hidden, *gain;
  uint16_t *normed, *qkv, *q, *attended, *gated;
  uint16_t* pages;
  int32_t *table, *before, *after, *positions, *token_positions, *counts;
  float *cos_sin, *bias;
  void* workspace;
  int64_t workspace_bytes;
};

class ChainRun {
 public:
  ChainRun(Bench& bench, const Chain& c) : c_(c) {
    m_.weights = bench.random_bf16(c.layer_weights() * c.layers, 1.0 / 64);
    m_.hidden = bench.random_float(static_cast<int64_t>(c.rows) * c.hidden);
    m_.gain = bench.random_float(c.hidden);
    const int64_t rows = c.rows, width = c.heads * c.head_dim;
    m_.normed = bench.random_bf16(rows * c.hidden);
    m_.qkv = bench.random_bf16(rows * c.qkv_rows());
    m_.q = bench.random_bf16(rows * width);
    m_.attended = bench.random_bf16(rows * width);
    m_.gated = bench.random_bf16(rows * c.ffn);
    const int64_t pages = c.pages_of_layer() * c.layers;
    m_.pages = bench.random_bf16(pages * WN_PAGE_SIZE * 2 * c.head_dim);
    std::vector<int32_t> table(pages);
    for (int64_t i = 0; i < pages; i++) table[i] = static_cast<int32_t>(i);
    m_.table = bench.upload(table);
    m_.before = bench.upload(std::vector<int32_t>(rows * c.kv_heads, c.slots - 1));
    m_.after = bench.upload(std::vector<int32_t>(rows * c.kv_heads, c.slots));
    m_.token_positions = bench.upload(std::vector<int32_t>(rows, 5));
    m_.positions = static_cast<int32_t*>(bench.zeroed(pages * WN_PAGE_SIZE * 4));
    m_.counts = static_cast<int32_t*>(bench.zeroed(pages * WN_PAGE_SIZE * 4));
    m_.bias = static_cast<float*>(bench.zeroed(pages * WN_PAGE_SIZE * 4));
    m_.cos_sin = bench.random_float(8 * c.head_dim);
    WnDecodeAttentionParams attention = attention_of(0);
    m_.workspace_bytes = wn_decode_attention_workspace_bytes(&attention);
    m_.workspace = bench.zeroed(m_.workspace_bytes);
  }

  WnStatus issue(const Way& way, cudaStream_t stream) const {
    WnStatus status{};
    for (int layer = 0; layer < c_.layers && status.code == WN_OK; layer++) status = issue_layer(way, layer, stream);
    return status;
  }

 private:
  enum Product { kQkv, kOutput, kGateUp, kDown };
  int rows_of(int product) const {
    return product == kQkv ? c_.qkv_rows() : product == kGateUp ? 2 * c_.ffn : c_.hidden;
  }
  int cols_of(int product) const { return product == kOutput ? c_.heads * c_.head_dim : product == kDown ? c_.ffn : c_.hidden; }
  int64_t size_of(int product) const { return static_cast<int64_t>(rows_of(product)) * cols_of(product); }

  WnStatus multiply(const Way& way, bool norms, int layer, int product, const uint16_t* x, void* out, cudaStream_t stream) const {
    WnLinearParams p{};
    int64_t at = c_.layer_weights() * layer;
    for (int i = 0; i < product; i++) at += size_of(i);
    p.weight = m_.weights + at;
    p.x = x;
    if (norms) {
      p.norm_x = m_.hidden;
      p.norm_gain = m_.gain;
      p.norm_epsilon = 1e-5f;
    }
    p.out = out;
    p.num_tokens = c_.rows;
    p.rows = rows_of(product);
    p.cols = cols_of(product);
    p.out_type = product == kOutput || product == kDown ? WN_F32 : WN_BF16;
    p.accumulate = product == kOutput || product == kDown;
    p.gate = product == kGateUp ? WN_GATE_SILU : WN_GATE_NONE;
    p.path = way.path;
    return wn_linear(&p, stream);
  }

  WnStatus norm(cudaStream_t stream) const {
    const WnRmsNormParams p{.x = m_.hidden, .gain = m_.gain, .out = m_.normed, .num_rows = c_.rows, .width = c_.hidden,
                            .out_type = WN_BF16, .accumulate = 0, .epsilon = 1e-5f, .gain_offset = 0};
    return wn_rms_norm(&p, stream);
  }

  WnCacheView cache_of(int layer, const int32_t* lens) const {
    return {.pages = m_.pages, .page_table = m_.table + c_.pages_of_layer() * layer, .kv_lens = lens, .positions = m_.positions,
            .counts = m_.counts, .log_bias = m_.bias, .rows = c_.rows, .num_kv_heads = c_.kv_heads, .head_dim = c_.head_dim,
            .page_table_stride = c_.stride()};
  }
  WnDecodeAttentionParams attention_of(int layer) const {
    WnDecodeAttentionParams p{};
    p.q = m_.q;
    p.pages = m_.pages;
    p.page_table = m_.table + c_.pages_of_layer() * layer;
    p.kv_lens = m_.after;
    p.out = m_.attended;
    p.workspace = m_.workspace;
    p.workspace_bytes = m_.workspace_bytes;
    p.batch = c_.rows;
    p.num_query_heads = c_.heads;
    p.num_kv_heads = c_.kv_heads;
    p.head_dim = c_.head_dim;
    p.num_pages = static_cast<int32_t>(c_.pages_of_layer() * c_.layers);
    p.page_table_stride = c_.stride();
    p.softmax_scale = 0.1f;
    return p;
  }

  WnStatus issue_layer(const Way& way, int layer, cudaStream_t stream) const {
    WnStatus status{};
    const bool norms_inside = way.norms_inside;
    if (!norms_inside) status = norm(stream);
    if (status.code == WN_OK) status = multiply(way, norms_inside, layer, kQkv, m_.normed, m_.qkv, stream);
    const WnRopeAppendParams rope{.qkv = m_.qkv, .positions = m_.token_positions, .cos_sin = m_.cos_sin, .q_norm = nullptr, .k_norm = nullptr,
                                  .q_out = m_.q, .cache = cache_of(layer, m_.before), .num_tokens = 1, .num_query_heads = c_.heads,
                                  .rope_dims = c_.head_dim, .qkv_type = WN_BF16, .pre_rope_keys = 0, .epsilon = 1e-5f};
    if (status.code == WN_OK) status = wn_rope_append(&rope, stream);
    const WnDecodeAttentionParams attention = attention_of(layer);
    if (status.code == WN_OK) status = wn_decode_attention(&attention, stream);
    if (status.code == WN_OK) status = multiply(way, false, layer, kOutput, m_.attended, m_.hidden, stream);
    if (status.code == WN_OK && !norms_inside) status = norm(stream);
    if (status.code == WN_OK) status = multiply(way, norms_inside, layer, kGateUp, m_.normed, m_.gated, stream);
    if (status.code == WN_OK) status = multiply(way, false, layer, kDown, m_.gated, m_.hidden, stream);
    return status;
  }

  Chain c_;
  Memory m_{};
};

void bench_chain(Bench& bench, const std::string& model, const Chain& c, const std::vector<Way>& ways) {
  const std::string name = "step-layers-" + model + "-s" + std::to_string(c.slots) + "-t" + std::to_string(c.rows);
  if (!bench.wants(name)) return;
  const ChainRun run(bench, c);
  const double bytes = static_cast<double>(c.layers) *
                       (2.0 * static_cast<double>(c.layer_weights()) + 4.0 * c.rows * c.kv_heads * static_cast<double>(c.slots) * c.head_dim);
  std::vector<Job> jobs;
  for (const Way& way : ways)
    jobs.push_back({name, way.name, "{\"layers\":" + std::to_string(c.layers) + ",\"slots\":" + std::to_string(c.slots) + ",\"rows\":" + std::to_string(c.rows) + "}",
                    0, bytes, 1, "weights exceed the L2", [&run, way](int, cudaStream_t stream) { return run.issue(way, stream); }, way.is_captured});
  bench.run(jobs);
  bench.release();
}

}  // namespace

void bench_step(Bench& bench) {
  const std::vector<Way> ways{{"winnow", true, true}, {"winnow-norms-apart", false, true}, {"winnow-no-graph", true, false}};
  const Chain llama_8b{32, 4096, 14336, 32, 8, 128, 2048, 1}, llama_1b{16, 2048, 8192, 32, 8, 64, 2048, 1};
  bench_chain(bench, "8b", llama_8b, ways);
  bench_chain(bench, "1b", llama_1b, ways);
  Chain dense = llama_8b;
  dense.slots = 8192;
  bench_chain(bench, "8b", dense, {ways[0]});
  for (int rows : {16, 32, 64}) {
    Chain batch = llama_8b;
    batch.rows = rows;
    bench_chain(bench, "8b", batch,
                {{"winnow", false, true}, {"winnow-step", false, true, WN_LINEAR_STEP}});
  }
}

}  // namespace winnow::bench
