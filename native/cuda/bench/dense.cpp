#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "bench.h"

namespace winnow::bench {
namespace {

bool load_blas() { return wn_linear_load_blas(std::getenv("WINNOW_CUBLASLT"), nullptr).code == WN_OK; }

/// A way to a product of a step, and its name in the result.
struct Way {
  std::string solution;
  int path;
};

/// Products of a decode step: the weights of one layer of Llama-3.1-8B, and its head. Copies take turns so that none is in the L2.
void bench_product(Bench& bench, const char* what, int rows, int cols, int tokens, int gate, std::vector<Way> ways) {
  const std::string name = std::string("linear-step-") + what + "-t" + std::to_string(tokens);
  if (!bench.wants(name)) return;
  const int64_t bytes = 2LL * rows * cols;
  const int copies = static_cast<int>(std::max<int64_t>(2, (256 << 20) / bytes + 1));
  const uint16_t* weights = bench.random_bf16(bytes / 2 * copies, 1.0 / 64);
  WnLinearParams p{};
  p.x = bench.random_bf16(static_cast<int64_t>(tokens) * cols);
  p.out = bench.zeroed(static_cast<int64_t>(tokens) * rows * 4);
  p.num_tokens = tokens;
  p.rows = rows;
  p.cols = cols;
  p.out_type = gate ? WN_BF16 : WN_F32;
  if (tokens > 8 && load_blas()) ways.push_back({"cublaslt", WN_LINEAR_BLAS});  // of a gate, its product alone
  std::vector<Job> rivals;
  for (const Way& way : ways) {
    WnLinearParams q = p;
    q.path = way.path;
    q.gate = way.path == WN_LINEAR_BLAS ? WN_GATE_NONE : gate;
    q.workspace_bytes = wn_linear_workspace_bytes(&q);
    q.workspace = q.workspace_bytes > 0 ? bench.zeroed(q.workspace_bytes) : nullptr;
    const auto launch = [=](int call, cudaStream_t stream) {
      WnLinearParams r = q;
      r.weight = weights + call % copies * (bytes / 2);
      return wn_linear(&r, stream);
    };
    // Outside the graph once: a first call of cuBLASLt may load code.
    if (way.path == WN_LINEAR_BLAS) (void)launch(0, nullptr);
    rivals.push_back({name, way.solution, "{\"rows\":" + std::to_string(rows) + ",\"cols\":" + std::to_string(cols) + ",\"tokens\":" + std::to_string(tokens) + "}",
                      0, static_cast<double>(bytes), copies, "weights take turns beyond the L2", launch});
  }
  bench.run(rivals);
  bench.release();
}

/// Products of a prefill chunk: ours against cuBLASLt where it is found.
void bench_tile(Bench& bench, const char* what, int rows, int cols, int tokens) {
  const std::string name = std::string("linear-") + what + "-t" + std::to_string(tokens);
  if (!bench.wants(name)) return;
  const bool has_blas = load_blas();
  WnLinearParams p{};
  p.x = bench.random_bf16(static_cast<int64_t>(tokens) * cols);
  p.weight = bench.random_bf16(static_cast<int64_t>(rows) * cols, 1.0 / 64);
  p.out = bench.zeroed(static_cast<int64_t>(tokens) * rows * 4);
  p.num_tokens = tokens;
  p.rows = rows;
  p.cols = cols;
  p.out_type = WN_F32;
  p.path = WN_LINEAR_BLAS;
  p.workspace_bytes = wn_linear_workspace_bytes(&p);
  p.workspace = bench.zeroed(p.workspace_bytes);
  const std::string shape = "{\"rows\":" + std::to_string(rows) + ",\"cols\":" + std::to_string(cols) + ",\"tokens\":" + std::to_string(tokens) + "}";
  std::vector<Job> rivals;
  for (int way : {int{WN_LINEAR_TILE}, int{WN_LINEAR_BLAS}}) {
    if (way == WN_LINEAR_BLAS && !has_blas) continue;
    WnLinearParams q = p;
    q.path = way;
    // Outside the graph once: a first call of cuBLASLt may load code.
    if (const WnStatus status = wn_linear(&q, nullptr); status.code) std::fprintf(stderr, "%s\n", status.message);
    rivals.push_back({name, way == WN_LINEAR_TILE ? "winnow" : "cublaslt", shape, 2.0 * tokens * rows * cols, 0, 2, "warm where it fits",
                      [q](int, cudaStream_t stream) { return wn_linear(&q, stream); }});
  }
  bench.run(rivals);
  bench.release();
}

}  // namespace

void bench_dense(Bench& bench) {
  const Way step{"winnow", WN_LINEAR_STEP}, wide{"winnow-wide", WN_LINEAR_WIDE};
  for (int tokens : {1, 8, 16, 24, 32, 64}) {
    bench_product(bench, "qkv", 6144, 4096, tokens, WN_GATE_NONE, {step, wide});
    bench_product(bench, "output", 4096, 4096, tokens, WN_GATE_NONE, {step, wide});
    bench_product(bench, "gate-up", 28672, 4096, tokens, WN_GATE_SILU, {step, wide});
    bench_product(bench, "down", 4096, 14336, tokens, WN_GATE_NONE, {step, wide});
  }
  for (int tokens : {1, 16, 64}) bench_product(bench, "head", 128256, 4096, tokens, WN_GATE_NONE, {step, wide});
  for (int tokens : {512, 2048}) {
    bench_tile(bench, "qkv", 6144, 4096, tokens);
    bench_tile(bench, "down", 4096, 14336, tokens);
  }
}

}  // namespace winnow::bench
