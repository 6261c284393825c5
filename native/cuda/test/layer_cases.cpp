#include "support.h"

namespace winnow::test {
namespace {

void run_merge(int parts, int rows, int head_dim, Outcome& outcome) {
  std::vector<float> part_out(static_cast<size_t>(parts) * rows * head_dim), part_lse(static_cast<size_t>(parts) * rows);
  for (size_t i = 0; i < part_out.size(); i++) part_out[i] = static_cast<float>(normal(81, i));
  for (size_t i = 0; i < part_lse.size(); i++)
    part_lse[i] = hash_word(82, i) % 3 == 0 || i % rows == 0 ? -INFINITY : static_cast<float>(20 * normal(83, i));
  // What an empty part left behind must not matter.
  for (size_t i = 0; i < part_lse.size(); i++)
    if (part_lse[i] == -INFINITY) part_out[i * head_dim] = NAN;
  WnLseMergeParams p{part_out.data(), part_lse.data(), nullptr, nullptr, parts, rows, head_dim};
  std::vector<double> want(static_cast<size_t>(rows) * head_dim), want_lse(rows);
  lse_merge_ref(p, want.data(), want_lse.data());
  Device device(outcome);
  auto* out = device.poisoned<uint16_t>(want.size());
  auto* lse = device.poisoned<float>(rows);
  p = {device.upload(part_out), device.upload(part_lse), out, lse, parts, rows, head_dim};
  if (!device.finish(wn_lse_merge(&p, nullptr))) return;
  compare(outcome, widen(device.download(out, want.size())), want, 3e-3);
  compare_lse(outcome, device.download(lse, rows), want_lse, 1e-4);
}

void run_norm(int rows, int width, bool has_residual, Outcome& outcome) {
  const size_t count = static_cast<size_t>(rows) * width;
  const auto x = normal_bf16(91, count), residual = normal_bf16(92, count), weight = normal_bf16(93, width);
  WnRmsNormParams p{};
  p.num_rows = rows;
  p.width = width;
  p.epsilon = 1e-5f;
  WnRmsNormParams host = p;
  host.x = x.data();
  host.residual = has_residual ? const_cast<uint16_t*>(residual.data()) : nullptr;
  host.weight = weight.data();
  std::vector<double> want(count);
  std::vector<uint16_t> want_residual(count);
  rms_norm_ref(host, want.data(), want_residual.data());
  Device device(outcome);
  auto* out = device.poisoned<uint16_t>(count);
  auto* updated = device.upload(residual);
  p.x = device.upload(x);
  p.residual = has_residual ? updated : nullptr;
  p.weight = device.upload(weight);
  p.out = out;
  if (!device.finish(wn_rms_norm(&p, nullptr))) return;
  compare(outcome, widen(device.download(out, count)), want, 4e-3);
  if (has_residual) compare_exact(outcome, device.download(updated, count), want_residual, "residual");
}

void run_rope(int tokens, int heads, int head_dim, int rotary_dim, Outcome& outcome) {
  const int table_len = 3000, half = rotary_dim / 2, stride = heads * head_dim + 8;
  std::vector<float> cosine(static_cast<size_t>(table_len) * half), sine(cosine.size());
  for (int position = 0; position < table_len; position++)
    for (int i = 0; i < half; i++) {
      const double angle = position * std::pow(500000.0, -2.0 * i / rotary_dim);
      cosine[static_cast<size_t>(position) * half + i] = static_cast<float>(std::cos(angle));
      sine[static_cast<size_t>(position) * half + i] = static_cast<float>(std::sin(angle));
    }
  auto x = normal_bf16(101, static_cast<size_t>(tokens) * stride);
  std::vector<int32_t> positions(tokens);
  for (int i = 0; i < tokens; i++) positions[i] = static_cast<int32_t>(hash_word(102, i) % (2 * table_len - 1)) - table_len + 1;
  WnRopeParams p{};
  p.token_stride = stride;
  p.num_tokens = tokens;
  p.num_heads = heads;
  p.head_dim = head_dim;
  p.rotary_dim = rotary_dim;
  p.table_len = table_len;
  WnRopeParams host = p;
  host.x = x.data();
  host.positions = positions.data();
  host.cos_table = cosine.data();
  host.sin_table = sine.data();
  std::vector<double> want(static_cast<size_t>(tokens) * heads * head_dim);
  rope_ref(host, want.data());
  Device device(outcome);
  auto* data = device.upload(x);
  p.x = data;
  p.positions = device.upload(positions);
  p.cos_table = device.upload(cosine);
  p.sin_table = device.upload(sine);
  if (!device.finish(wn_rope(&p, nullptr))) return;
  const auto got = widen(device.download(data, x.size()));
  std::vector<double> heads_only;
  for (int token = 0; token < tokens; token++)
    heads_only.insert(heads_only.end(), got.begin() + token * stride, got.begin() + token * stride + heads * head_dim);
  compare(outcome, heads_only, want, 3e-3);
}

void run_swiglu(int rows, int width, Outcome& outcome) {
  const int stride = 2 * width;  // gate and up side by side, as one projection writes them
  const auto both = normal_bf16(111, static_cast<size_t>(rows) * stride, 3);
  WnSwigluParams p{both.data(), both.data() + width, nullptr, stride, stride, width, rows, width};
  std::vector<double> want(static_cast<size_t>(rows) * width);
  swiglu_ref(p, want.data());
  Device device(outcome);
  auto* data = device.upload(both);
  auto* out = device.poisoned<uint16_t>(want.size());
  p.gate = data;
  p.up = data + width;
  p.out = out;
  if (!device.finish(wn_swiglu(&p, nullptr))) return;
  compare(outcome, widen(device.download(out, want.size())), want, 4e-3);
}

void run_argmax(int rows, int width, int kind, Outcome& outcome) {
  const int stride = width + 3;
  std::vector<float> logits(static_cast<size_t>(rows) * stride);
  for (size_t i = 0; i < logits.size(); i++)
    logits[i] = kind == 0                   ? static_cast<float>(normal(121, i))
                : kind == 1                 ? static_cast<float>(hash_word(122, i) % 3) - 5
                : hash_word(123, i) % 2 ? NAN
                                            : -INFINITY;
  std::vector<int32_t> want(rows);
  WnArgmaxParams p{logits.data(), nullptr, stride, rows, width};
  argmax_ref(p, want.data());
  Device device(outcome);
  p.logits = device.upload(logits);
  p.index = device.poisoned<int32_t>(rows);
  if (!device.finish(wn_argmax(&p, nullptr))) return;
  compare_exact(outcome, device.download(p.index, rows), want, "index");
}

}  // namespace

void add_layer_cases(Cases& cases) {
  auto text = [](auto... parts) {
    std::string name;
    ((name += (name.empty() ? "" : "-") + std::to_string(parts)), ...);
    return name;
  };
  for (auto [parts, rows, d] : {std::tuple{1, 1, 64}, {3, 17, 128}, {16, 100, 256}, {5, 3, 80}})
    cases.push_back({"lse_merge", text(parts, rows, d), [=](Outcome& outcome) { run_merge(parts, rows, d, outcome); }});
  for (auto [rows, width] : {std::pair{1, 8}, {3, 256}, {17, 4096}, {2, 1000}, {300, 64}})
    for (bool residual : {false, true})
      cases.push_back({"rms_norm", text(rows, width, residual), [=](Outcome& outcome) { run_norm(rows, width, residual, outcome); }});
  for (auto [tokens, heads, d, rotary] : {std::tuple{1, 1, 64, 64}, {17, 3, 128, 128}, {100, 8, 128, 64}, {5, 2, 256, 256}, {3, 7, 96, 32}})
    cases.push_back({"rope", text(tokens, heads, d, rotary), [=](Outcome& outcome) { run_rope(tokens, heads, d, rotary, outcome); }});
  for (auto [rows, width] : {std::pair{1, 8}, {17, 1000}, {3, 14336}})
    cases.push_back({"swiglu", text(rows, width), [=](Outcome& outcome) { run_swiglu(rows, width, outcome); }});
  for (int kind : {0, 1, 2})
    for (auto [rows, width] : {std::pair{1, 1}, {3, 33}, {2, 128256}})
      cases.push_back({"argmax", text(kind, rows, width), [=](Outcome& outcome) { run_argmax(rows, width, kind, outcome); }});
}

}  // namespace winnow::test
