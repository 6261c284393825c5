#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

struct LinearCase {
  int tokens, rows, cols, path, out_type;
  bool accumulate = false, has_bias = false;
  int gate = WN_GATE_NONE, variant = 0;
};

std::string file_of_blas() {
  const char* path = std::getenv("WINNOW_CUBLASLT");
  return path ? path : "";
}
/// cuBLASLt by WINNOW_CUBLASLT or its usual names; once a process.
bool load_blas() {
  static const bool is_loaded = [] {
    const std::string path = file_of_blas();
    return wn_linear_load_blas(path.empty() ? nullptr : path.c_str(), nullptr).code == WN_OK;
  }();
  return is_loaded;
}

struct LinearInputs {
  std::vector<uint16_t> x, weight;
  std::vector<float> bias, before;
  explicit LinearInputs(const LinearCase& c)
      : x(normal_bf16(161, static_cast<size_t>(c.tokens) * c.cols)),
        weight(normal_bf16(162, static_cast<size_t>(c.rows) * c.cols, 1 / std::sqrt(static_cast<double>(c.cols)))),
        bias(normal_f32(163, c.rows)),
        before(normal_f32(164, static_cast<size_t>(c.tokens) * c.rows)) {}
};

WnLinearParams params_of(const LinearCase& c) {
  WnLinearParams p{};
  p.num_tokens = c.tokens;
  p.rows = c.rows;
  p.cols = c.cols;
  p.out_type = c.out_type;
  p.accumulate = c.accumulate;
  p.gate = c.gate;
  p.path = c.path;
  p.variant = c.variant;
  return p;
}

void run_linear(const LinearCase& c, Outcome& outcome) {
  if (c.path == WN_LINEAR_BLAS && !load_blas()) {
    outcome.status = "unsupported";
    outcome.detail = "cuBLASLt was not found";
    return;
  }
  const LinearInputs inputs(c);
  WnLinearParams p = params_of(c), host = p;
  host.x = inputs.x.data();
  host.weight = inputs.weight.data();
  host.bias = c.has_bias ? inputs.bias.data() : nullptr;
  host.out = const_cast<float*>(inputs.before.data());
  std::vector<double> want(static_cast<size_t>(c.tokens) * (c.gate ? c.rows / 2 : c.rows));
  linear_ref(host, want.data());
  Device device(outcome);
  p.x = device.upload(inputs.x);
  p.weight = device.upload(inputs.weight);
  p.bias = c.has_bias ? device.upload(inputs.bias) : nullptr;
  p.out = c.accumulate ? static_cast<void*>(device.upload(inputs.before)) : device.poisoned_elements(c.out_type, want.size());
  p.workspace_bytes = wn_linear_workspace_bytes(&p);
  p.workspace = p.workspace_bytes > 0 ? device.poisoned<char>(p.workspace_bytes) : nullptr;
  if (!device.finish(wn_linear(&p, nullptr))) return;
  // The product before a gate is rounded to bf16 where it goes through memory.
  const bool is_rounded =
      c.out_type == WN_BF16 || (c.gate && c.path != WN_LINEAR_STEP && c.path != WN_LINEAR_WIDE && c.path != WN_LINEAR_CHOOSE_STEP);
  compare(outcome, device.elements(c.out_type, p.out, want.size()), want, is_rounded ? 6e-3 : 1e-5);
}

/// Every token alone and beside any number of others: the same bits.
void run_alone(int path, int rows, int cols, int gate, Outcome& outcome) {
  const int tokens = 75;
  LinearCase c{tokens, rows, cols, path, WN_F32};
  c.gate = gate;
  const LinearInputs inputs(c);
  const int width = gate ? rows / 2 : rows;
  Device device(outcome);
  WnLinearParams p = params_of(c);
  const auto* x = device.upload(inputs.x);
  p.weight = device.upload(inputs.weight);
  auto* together = device.poisoned<float>(static_cast<size_t>(tokens) * width);
  auto* alone = device.poisoned<float>(static_cast<size_t>(tokens) * width);
  p.x = x;
  p.out = together;
  if (!device.finish(wn_linear(&p, nullptr))) return;
  for (int first = 0, count = 1; first < tokens; first += count, count = std::min(count + 1, tokens - first)) {
    p.num_tokens = count;
    p.x = x + static_cast<size_t>(first) * cols;
    p.out = alone + static_cast<size_t>(first) * width;
    if (!device.finish(wn_linear(&p, nullptr))) return;
  }
  compare_exact(outcome, device.download(alone, static_cast<size_t>(tokens) * width), device.download(together, static_cast<size_t>(tokens) * width), "bits");
}

/// A step that norms its row against a norm and a step: the same bits, and the same row left behind.
void run_normed(int rows, int cols, int gate, Outcome& outcome) {
  LinearCase c{1, rows, cols, WN_LINEAR_STEP, WN_F32};
  c.gate = gate;
  const LinearInputs inputs(c);
  Device device(outcome);
  const auto* row = device.upload(normal_f32(165, cols));
  const auto* gain = device.upload(normal_f32(166, cols));
  const size_t width = gate ? rows / 2 : rows;
  WnLinearParams p = params_of(c);
  p.weight = device.upload(inputs.weight);
  auto* x = device.poisoned<uint16_t>(cols);
  const WnRmsNormParams norm{row, gain, x, 1, cols, WN_BF16, 0, 1e-5f, 0.5f};
  if (!device.finish(wn_rms_norm(&norm, nullptr))) return;
  auto* apart = device.poisoned<float>(width);
  p.x = x;
  p.out = apart;
  if (!device.finish(wn_linear(&p, nullptr))) return;
  auto* left = device.poisoned<uint16_t>(cols);
  auto* together = device.poisoned<float>(width);
  p.x = left;
  p.out = together;
  p.norm_x = row;
  p.norm_gain = gain;
  p.norm_epsilon = 1e-5f;
  p.norm_gain_offset = 0.5f;
  if (!device.finish(wn_linear(&p, nullptr))) return;
  compare_exact(outcome, device.download(left, cols), device.download(x, cols), "row");
  compare_exact(outcome, device.download(together, width), device.download(apart, width), "bits");
}

}  // namespace

void add_linear_cases(Cases& cases) {
  auto add = [&](const LinearCase& c) {
    const char* paths[] = {"choose", "step", "tile", "blas", "wide", "choose-step"};
    std::string name = paths[c.path];
    for (int part : {c.tokens, c.rows, c.cols, c.out_type, int{c.accumulate}, int{c.has_bias}, c.gate}) name += "-" + std::to_string(part);
    if (c.variant) name += "-v" + std::to_string(c.variant);
    cases.push_back({"linear", name, [=](Outcome& outcome) { run_linear(c, outcome); }});
  };
  for (int path : {int{WN_LINEAR_STEP}, int{WN_LINEAR_TILE}, int{WN_LINEAR_BLAS}, int{WN_LINEAR_CHOOSE}, int{WN_LINEAR_WIDE}})
    for (int tokens : path == WN_LINEAR_STEP || path == WN_LINEAR_WIDE ? std::vector<int>{1, 2, 8, 9, 16, 17, 32, 33, 64, 65} : std::vector<int>{1, 17, 128, 129, 300})
      for (auto [rows, cols] : {std::pair{16, 8}, {64, 64}, {33, 200}, {192, 576}, {256, 1032}, {1536, 128}}) {
        if (path == WN_LINEAR_BLAS && rows % 8 != 0) continue;
        add({tokens, rows, cols, path, WN_F32});
        add({tokens, rows, cols, path, WN_BF16, false, true});
        add({tokens, rows, cols, path, WN_F32, true, true});
        if (rows % 64 == 0) add({tokens, rows, cols, path, WN_BF16, false, false, WN_GATE_SILU});
        if (rows % 64 == 0) add({tokens, rows, cols, path, WN_F32, false, false, WN_GATE_GELU_TANH});
      }
  for (int gate : {int{WN_GATE_NONE}, int{WN_GATE_SILU}})
    for (auto [rows, cols] : {std::pair{64, 64}, {192, 576}, {256, 1032}, {128, 4096}, {6144, 4096}})
      cases.push_back({"linear", "normed-" + std::to_string(rows) + "-" + std::to_string(cols) + "-" + std::to_string(gate),
                       [=](Outcome& outcome) { run_normed(rows, cols, gate, outcome); }});
  for (int tokens : {1, 16, 17, 65})
    for (int gate : {int{WN_GATE_NONE}, int{WN_GATE_SILU}}) add({tokens, 192, 576, WN_LINEAR_CHOOSE_STEP, WN_F32, false, false, gate});
  for (int path : {int{WN_LINEAR_STEP}, int{WN_LINEAR_WIDE}})
    for (int gate : {int{WN_GATE_NONE}, int{WN_GATE_SILU}})
      cases.push_back({"linear", (path == WN_LINEAR_WIDE ? "wide-alone-" : "alone-") + std::to_string(gate),
                       [=](Outcome& outcome) { run_alone(path, 256, 1032, gate, outcome); }});
  for (int split : {1, 2, 4, 8})
    for (int tokens : {3, 31, 40})
      for (int gate : {int{WN_GATE_NONE}, int{WN_GATE_SILU}}) {
        add({tokens, 320, 1544, WN_LINEAR_WIDE, WN_BF16, false, false, gate, split});
        add({tokens, 64, 200, WN_LINEAR_WIDE, WN_F32, false, false, gate, split});
      }
}

}  // namespace winnow::test
