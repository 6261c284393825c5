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

void run_norm(int rows, int width, int out_type, bool accumulate, Outcome& outcome) {
  const size_t count = static_cast<size_t>(rows) * width;
  const auto x = normal_f32(91, count), gain = normal_f32(93, width), before = normal_f32(92, count);
  WnRmsNormParams p{};
  p.num_rows = rows;
  p.width = width;
  p.out_type = out_type;
  p.accumulate = accumulate;
  p.epsilon = 1e-5f;
  p.gain_offset = accumulate ? 0 : 1;
  WnRmsNormParams host = p;
  host.x = x.data();
  host.gain = gain.data();
  host.out = const_cast<float*>(before.data());
  std::vector<double> want(count);
  rms_norm_ref(host, want.data());
  Device device(outcome);
  p.x = device.upload(x);
  p.gain = device.upload(gain);
  p.out = accumulate ? static_cast<void*>(device.upload(before)) : device.poisoned_elements(out_type, count);
  if (!device.finish(wn_rms_norm(&p, nullptr))) return;
  compare(outcome, device.elements(out_type, p.out, count), want, out_type == WN_F32 ? 1e-6 : 4e-3);
}

void run_embed(int tokens, int width, Outcome& outcome) {
  const int vocab = 77;
  const auto weight = normal_bf16(131, static_cast<size_t>(vocab) * width);
  std::vector<int32_t> ids(tokens);
  for (int i = 0; i < tokens; i++) ids[i] = static_cast<int32_t>(hash_word(132, i) % vocab);
  WnEmbedParams p{weight.data(), ids.data(), nullptr, tokens, vocab, width, 2.5f};
  std::vector<double> want(static_cast<size_t>(tokens) * width);
  embed_ref(p, want.data());
  Device device(outcome);
  p = {device.upload(weight), device.upload(ids), device.poisoned<float>(want.size()), tokens, vocab, width, 2.5f};
  if (!device.finish(wn_embed(&p, nullptr))) return;
  compare(outcome, widen(device.download(p.out, want.size())), want, 1e-7);
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

void run_gated(int rows, int width, int gate, bool is_woven, int in_type, int out_type, Outcome& outcome) {
  const size_t count = static_cast<size_t>(rows) * width;
  const auto words = normal_bf16(111, 2 * count, 3);
  const auto floats = normal_f32(112, 2 * count, 3);
  WnGatedActivationParams p{words.data(), nullptr, rows, width, in_type, out_type, gate, is_woven};
  if (in_type == WN_F32) p.gate_up = floats.data();
  std::vector<double> want(count);
  gated_activation_ref(p, want.data());
  Device device(outcome);
  p.gate_up = in_type == WN_F32 ? static_cast<void*>(device.upload(floats)) : device.upload(words);
  p.out = device.poisoned_elements(out_type, count);
  if (!device.finish(wn_gated_activation(&p, nullptr))) return;
  compare(outcome, device.elements(out_type, p.out, count), want, out_type == WN_F32 ? 2e-6 : 4e-3);
}

void run_elementwise(int op, int x_type, int out_type, int rows, int row_len, Outcome& outcome) {
  const int parts = op == WN_ELEMENT_MIX ? 3 : 1;
  const size_t count = static_cast<size_t>(rows) * row_len;
  const auto words = normal_bf16(141, count, 4);
  auto floats = normal_f32(142, count * parts, 4), y = normal_f32(143, count * parts);
  std::vector<int32_t> integers(count), by(rows);
  for (size_t i = 0; i < count; i++) {
    integers[i] = static_cast<int32_t>(hash_word(144, i) % 1000);
    // What a part of weight 0 holds must not matter.
    if (op == WN_ELEMENT_MIX && static_cast<int>(i) < rows && i % 2) y[3 * i + 1] = 0, floats[count + i * row_len] = NAN;
    if (op == WN_ELEMENT_AXPBY && i % 7 == 0) (i % 2 ? floats : y)[i] = -INFINITY;
  }
  for (int i = 0; i < rows; i++) by[i] = i - 3;
  WnElementwiseParams p{};
  p.count = static_cast<int64_t>(count);
  p.row_len = row_len;
  p.parts = parts;
  p.op = op;
  p.x_type = x_type;
  p.out_type = out_type;
  p.a = 2.5f;
  p.b = -0.75f;
  WnElementwiseParams host = p;
  host.x = x_type == WN_I32 ? static_cast<const void*>(integers.data()) : x_type == WN_F32 ? static_cast<const void*>(floats.data()) : words.data();
  host.y = x_type == WN_I32 ? static_cast<const void*>(by.data()) : y.data();
  std::vector<double> want(count);
  elementwise_ref(host, want.data());
  Device device(outcome);
  p.x = x_type == WN_I32 ? static_cast<void*>(device.upload(integers)) : x_type == WN_F32 ? static_cast<void*>(device.upload(floats)) : device.upload(words);
  p.y = x_type == WN_I32 ? static_cast<void*>(device.upload(by)) : device.upload(y);
  p.out = device.poisoned_elements(out_type, count);
  if (!device.finish(wn_elementwise(&p, nullptr))) return;
  auto got = device.elements(out_type, p.out, count);
  for (size_t i = 0; i < count; i++) {
    if (want[i] != -INFINITY) continue;
    if (got[i] != -INFINITY) outcome.status = "incorrect";
    got[i] = want[i] = 0;
  }
  compare(outcome, got, want, out_type == WN_BF16 ? 4e-3 : op == WN_ELEMENT_SOFT_CAP || op == WN_ELEMENT_MIX ? 1e-6 : 1e-7);
}

void run_rope_append(int tokens, int heads, int kv_heads, int head_dim, int rope_dims, int type, bool norms, bool pre, Outcome& outcome) {
  const int table_len = 3000, rows = 2, all = heads + 2 * kv_heads;
  const std::vector<int32_t> lens = {0, 63, 130, 64, 1, 100, 7, 65};
  std::vector<int32_t> before(lens.begin(), lens.begin() + rows * kv_heads), after;
  for (int32_t len : before) after.push_back(len + tokens);
  const PagedCache cache(151, after, head_dim);
  const size_t places = static_cast<size_t>(cache.num_pages) * 64, count = static_cast<size_t>(rows) * tokens * all * head_dim;
  std::vector<float> table(static_cast<size_t>(table_len) * rope_dims);
  for (int position = 0; position < table_len; position++)
    for (int i = 0; i < rope_dims / 2; i++) {
      const double angle = position * std::pow(500000.0, -2.0 * i / rope_dims);
      table[static_cast<size_t>(position) * rope_dims + i] = static_cast<float>(std::cos(angle));
      table[static_cast<size_t>(position) * rope_dims + rope_dims / 2 + i] = static_cast<float>(std::sin(angle));
    }
  const auto words = normal_bf16(152, count);
  const auto floats = normal_f32(153, count), q_norm = normal_f32(154, head_dim), k_norm = normal_f32(155, head_dim);
  std::vector<int32_t> positions(static_cast<size_t>(rows) * tokens);
  for (size_t i = 0; i < positions.size(); i++) positions[i] = static_cast<int32_t>(hash_word(156, i) % table_len);
  WnRopeAppendParams p{};
  p.num_tokens = tokens;
  p.num_query_heads = heads;
  p.rope_dims = rope_dims;
  p.qkv_type = type;
  p.pre_rope_keys = pre;
  p.epsilon = 1e-6f;
  p.cache.rows = rows;
  p.cache.num_kv_heads = kv_heads;
  p.cache.head_dim = head_dim;
  p.cache.page_table_stride = cache.stride;
  WnRopeAppendParams host = p;
  auto want_pages = cache.pages;
  std::vector<int32_t> want_positions(places, -7), want_counts(places, -7);
  std::vector<float> want_bias(places, -7);
  const auto old_integers = want_positions;
  const auto old_bias = want_bias;
  host.qkv = type == WN_F32 ? static_cast<const void*>(floats.data()) : words.data();
  host.positions = positions.data();
  host.cos_sin = table.data();
  host.q_norm = norms ? q_norm.data() : nullptr;
  host.k_norm = norms ? k_norm.data() : nullptr;
  host.cache.pages = want_pages.data();
  host.cache.page_table = cache.table.data();
  host.cache.kv_lens = before.data();
  host.cache.positions = want_positions.data();
  host.cache.counts = want_counts.data();
  host.cache.log_bias = want_bias.data();
  std::vector<double> want(count);
  std::vector<uint16_t> want_q(static_cast<size_t>(rows) * tokens * heads * head_dim);
  rope_append_ref(host, want.data());
  rope_append_store_ref(host, want.data(), want_q.data());
  Device device(outcome);
  p.qkv = type == WN_F32 ? static_cast<void*>(device.upload(floats)) : device.upload(words);
  p.positions = device.upload(positions);
  p.cos_sin = device.upload(table);
  p.q_norm = norms ? device.upload(q_norm) : nullptr;
  p.k_norm = norms ? device.upload(k_norm) : nullptr;
  auto* q_out = device.poisoned<uint16_t>(want_q.size());
  auto* pages = device.upload(cache.pages);
  p.q_out = q_out;
  p.cache.pages = pages;
  p.cache.page_table = device.upload(cache.table);
  p.cache.kv_lens = device.upload(before);
  p.cache.positions = device.upload(old_integers);
  p.cache.counts = device.upload(old_integers);
  p.cache.log_bias = device.upload(old_bias);
  if (!device.finish(wn_rope_append(&p, nullptr))) return;
  compare(outcome, widen(device.download(q_out, want_q.size())), widen(want_q), 4e-3);
  // Pages hold huge values where nothing was written, which must stay and would drown the error of what was.
  auto got_pages = widen(device.download(pages, want_pages.size())), wide = widen(want_pages);
  const double untouched = bf16_value(std::vector<uint16_t>{to_bf16(3e4)}.data(), 0);
  for (size_t i = 0; i < wide.size(); i++) {
    if (wide[i] != untouched) continue;
    if (got_pages[i] != untouched) outcome.status = "incorrect";
    got_pages[i] = wide[i] = 0;
  }
  compare(outcome, got_pages, wide, 4e-3);
  compare_exact(outcome, device.download(p.cache.positions, places), want_positions, "positions");
  compare_exact(outcome, device.download(p.cache.counts, places), want_counts, "counts");
  compare_exact(outcome, device.download(p.cache.log_bias, places), want_bias, "log_bias");
}

void run_argmax(int rows, int width, int kind, Outcome& outcome) {
  const int stride = kind == 1 ? width + 3 : (width + 3) / 4 * 4;
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
  for (auto [rows, width] : {std::pair{1, 8}, {3, 256}, {17, 4096}, {2, 1000}, {300, 64}, {1, 33}, {2, 6144}, {1, 8200}})
    for (auto [type, accumulate] : {std::pair{int{WN_BF16}, false}, {int{WN_F32}, false}, {int{WN_F32}, true}})
      cases.push_back({"rms_norm", text(rows, width, type, accumulate), [=](Outcome& outcome) { run_norm(rows, width, type, accumulate, outcome); }});
  for (auto [tokens, width] : {std::pair{1, 8}, {17, 4096}, {300, 40}})
    cases.push_back({"embed", text(tokens, width), [=](Outcome& outcome) { run_embed(tokens, width, outcome); }});
  for (auto [tokens, heads, d, rotary] : {std::tuple{1, 1, 64, 64}, {17, 3, 128, 128}, {100, 8, 128, 64}, {5, 2, 256, 256}, {3, 7, 96, 32}})
    cases.push_back({"rope", text(tokens, heads, d, rotary), [=](Outcome& outcome) { run_rope(tokens, heads, d, rotary, outcome); }});
  for (auto [rows, width] : {std::pair{1, 32}, {17, 992}, {3, 14336}})
    for (int gate : {int{WN_GATE_SILU}, int{WN_GATE_GELU_TANH}})
      for (bool woven : {false, true})
        for (auto [in, out] : {std::pair{int{WN_BF16}, int{WN_BF16}}, {int{WN_F32}, int{WN_BF16}}, {int{WN_F32}, int{WN_F32}}})
          cases.push_back({"gated_activation", text(rows, width, gate, woven, in, out), [=](Outcome& outcome) {
                             run_gated(rows, width, gate, woven, in, out, outcome);
                           }});
  for (auto [op, x, out] : {std::tuple{int{WN_ELEMENT_COPY}, int{WN_F32}, int{WN_BF16}}, {int{WN_ELEMENT_COPY}, int{WN_BF16}, int{WN_F32}},
                            {int{WN_ELEMENT_COPY}, int{WN_I32}, int{WN_I32}}, {int{WN_ELEMENT_SOFT_CAP}, int{WN_F32}, int{WN_F32}},
                            {int{WN_ELEMENT_AXPBY}, int{WN_F32}, int{WN_F32}}, {int{WN_ELEMENT_SCALE_ROWS}, int{WN_BF16}, int{WN_F32}},
                            {int{WN_ELEMENT_SCALE_ROWS}, int{WN_F32}, int{WN_BF16}}, {int{WN_ELEMENT_ADD_ROWS}, int{WN_I32}, int{WN_I32}},
                            {int{WN_ELEMENT_ADD_BIAS}, int{WN_F32}, int{WN_F32}}, {int{WN_ELEMENT_ADD_BIAS}, int{WN_BF16}, int{WN_BF16}},
                            {int{WN_ELEMENT_MIX}, int{WN_F32}, int{WN_F32}}})
    for (auto [rows, row_len] : {std::pair{1, 1}, {5, 333}, {64, 4096}})
      cases.push_back({"elementwise", text(op, x, out, rows, row_len), [=](Outcome& outcome) {
                         run_elementwise(op, x, out, rows, row_len, outcome);
                       }});
  for (auto [tokens, heads, kv, d, rope] : {std::tuple{1, 4, 2, 64, 64}, {1, 32, 4, 128, 128}, {65, 3, 1, 128, 64}, {5, 2, 2, 256, 256}, {3, 7, 1, 80, 32}, {2, 6, 3, 16, 16}})
    for (int type : {int{WN_F32}, int{WN_BF16}})
      for (bool norms : {false, true})
        cases.push_back({"rope_append", text(tokens, heads, kv, d, rope, type, norms), [=](Outcome& outcome) {
                           run_rope_append(tokens, heads, kv, d, rope, type, norms, norms && type == WN_F32, outcome);
                         }});
  for (int kind : {0, 1, 2})
    for (auto [rows, width] : {std::pair{1, 1}, {3, 33}, {2, 128256}})
      cases.push_back({"argmax", text(kind, rows, width), [=](Outcome& outcome) { run_argmax(rows, width, kind, outcome); }});
}

}  // namespace winnow::test
