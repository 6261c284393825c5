#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

constexpr int kHeads = 3;

/// One row of three heads with positions, counts and biases, on the host twice (before and after) and on the device.
struct Setting {
  std::vector<int32_t> lens;
  PagedCache cache;
  std::vector<uint16_t> pages;
  std::vector<int32_t> positions, counts;
  std::vector<float> bias;
  WnCacheView host{}, device{};

  Setting(int head_dim, int longest, Device& memory) : lens{longest, longest / 2 + 2, std::max(longest - 3, 4)}, cache(401, lens, head_dim), pages(cache.pages) {
    const size_t slots = static_cast<size_t>(cache.num_pages) * 64;
    for (size_t i = 0; i < slots; i++) {
      positions.push_back(static_cast<int32_t>(hash_word(402, i) % 500));
      counts.push_back(1 + static_cast<int32_t>(hash_word(403, i) % 4));
      bias.push_back(static_cast<float>(normal(404, i)));
    }
    host.rows = 1;
    host.num_kv_heads = kHeads;
    host.head_dim = head_dim;
    host.page_table_stride = cache.stride;
    device = host;
    device.pages = memory.upload(pages);
    device.page_table = memory.upload(cache.table);
    device.kv_lens = memory.upload(lens);
    device.positions = memory.upload(positions);
    device.counts = memory.upload(counts);
    device.log_bias = memory.upload(bias);
    host.pages = pages.data();
    host.page_table = cache.table.data();
    host.kv_lens = lens.data();
    host.positions = positions.data();
    host.counts = counts.data();
    host.log_bias = bias.data();
  }

  std::vector<double> rows(const std::vector<uint16_t>& of) const {
    std::vector<double> values;
    for (int head = 0; head < kHeads; head++)
      for (int slot = 0; slot < lens[static_cast<size_t>(head)]; slot++)
        for (int what = 0; what < 2; what++)
          for (int c = 0; c < host.head_dim; c++) values.push_back(bf16_value(of.data(), arena_element(host, arena_slot(host, head, slot), what) + c));
    return values;
  }
  /// What the device holds against what the host holds; slots that nobody edits keep their bits, so the bound is for those edited.
  void compare_all(Device& memory, Outcome& outcome) {
    const auto got = memory.download(static_cast<const uint16_t*>(device.pages), pages.size());
    compare(outcome, rows(got), rows(pages), 2e-3);
    compare_exact(outcome, memory.download(device.positions, positions.size()), positions, "positions");
    compare_exact(outcome, memory.download(device.counts, counts.size()), counts, "counts");
    compare(outcome, widen(memory.download(device.log_bias, bias.size())), widen(bias), 1e-6);
    size_t outside = 0;
    for (size_t i = 0; i < pages.size(); i++) outside += cache.pages[i] == pages[i] && got[i] != pages[i];
    if (outside > 0) outcome.fail("an element changed that the reference leaves alone");
  }
};

/// spread 0: all entries into few targets, 1: one source into many, 2: a target each.
void run_merge(int head_dim, int longest, int spread, int keys, int values, int bias, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, longest, device);
  const int stride = longest;
  std::vector<int32_t> from(static_cast<size_t>(kHeads) * stride, -1), into = from, lens(kHeads), report(2 * kHeads);
  std::vector<float> weight(from.size(), 1);
  for (int head = 0; head < kHeads; head++) {
    const int len = setting.lens[static_cast<size_t>(head)];
    int count = 0;
    // Even slots are sources, odd ones targets.
    for (int slot = 0; slot < len; slot++) {
      const size_t at = static_cast<size_t>(head * stride + count);
      if (spread == 1 ? slot % 2 == 0 : slot % 2 == 1) continue;
      from[at] = spread == 1 ? slot / 16 * 16 : slot;
      into[at] = spread == 0 ? static_cast<int>(hash_word(405, at) % 3) * 2 + 1 : spread == 1 ? slot : slot + 1 < len ? slot + 1 : -1;
      weight[at] = hash_word(406, at) % 6 == 0 ? 0 : static_cast<float>(uniform(407, at) + 0.1);
      count++;
    }
    lens[static_cast<size_t>(head)] = head == 2 ? -1 : count;
  }
  WnCacheMergeParams p{};
  p.cache = setting.host;
  p.from = from.data();
  p.into = into.data();
  p.weight = weight.data();
  p.lens = lens.data();
  p.report = report.data();
  p.stride = stride;
  p.max_count = std::max(lens[0], lens[1]);
  p.keys = keys;
  p.values = values;
  p.bias = bias;
  p.frozen_page = spread == 0 ? setting.cache.table[0] : -1;
  WnCacheMergeParams on = p;
  cache_merge_check_ref(p);
  cache_merge_ref(p);
  on.cache = setting.device;
  on.from = device.upload(from);
  on.into = device.upload(into);
  on.weight = device.upload(weight);
  on.lens = device.upload(lens);
  on.report = device.poisoned<int32_t>(report.size());
  if (!device.finish(wn_cache_merge_check(&on, nullptr))) return;
  compare_exact(outcome, device.download(on.report, report.size()), report, "report");
  on.workspace_bytes = wn_cache_merge_workspace_bytes(&on);
  on.workspace = device.poisoned<char>(static_cast<size_t>(on.workspace_bytes));
  if (!device.finish(wn_cache_merge(&on, nullptr))) return;
  setting.compare_all(device, outcome);
}

/// Lists with one fault a head.
void run_merge_faults(Outcome& outcome) {
  Device device(outcome);
  Setting setting(16, 100, device);
  const int stride = 300;
  for (int kind = 0; kind < 6; kind++) {
    std::vector<int32_t> from(static_cast<size_t>(kHeads) * stride, 0), into(from.size(), 1), lens(kHeads, stride), report(2 * kHeads);
    std::vector<float> weight(from.size(), 0.5f);
    const size_t at = static_cast<size_t>(stride) + 290;
    if (kind == 0) lens = {stride, stride + 1, -1};
    if (kind == 1) from[at] = 52;
    if (kind == 2) into[at] = -2;
    if (kind == 3) weight[at] = NAN;
    if (kind == 4) into[at] = 0;
    if (kind == 5) std::fill(from.begin() + static_cast<long>(at), from.begin() + 2 * stride, 3);
    WnCacheMergeParams p{};
    p.cache = setting.host;
    p.from = from.data();
    p.into = into.data();
    p.weight = weight.data();
    p.lens = lens.data();
    p.report = report.data();
    p.stride = stride;
    WnCacheMergeParams on = p;
    cache_merge_check_ref(p);
    on.cache = setting.device;
    on.from = device.upload(from);
    on.into = device.upload(into);
    on.weight = device.upload(weight);
    on.lens = device.upload(lens);
    on.report = device.poisoned<int32_t>(report.size());
    if (!device.finish(wn_cache_merge_check(&on, nullptr))) return;
    compare_exact(outcome, device.download(on.report, report.size()), report, ("report of kind " + std::to_string(kind)).c_str());
  }
}

void run_rotate(int head_dim, int rope_dims, int longest, bool turns, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, longest, device);
  const int stride = longest, max_positions = 50;
  std::vector<int32_t> slots(static_cast<size_t>(kHeads) * stride, -1), delta(slots.size()), lens(kHeads), report(2 * kHeads);
  std::vector<float> table(static_cast<size_t>(max_positions) * rope_dims);
  for (int position = 0; position < max_positions; position++)
    for (int c = 0; c < rope_dims / 2; c++) {
      const double angle = position * std::pow(100.0, -2.0 * c / rope_dims), scale = 1.25;
      table[static_cast<size_t>(position * rope_dims + c)] = static_cast<float>(scale * std::cos(angle));
      table[static_cast<size_t>(position * rope_dims + rope_dims / 2 + c)] = static_cast<float>(scale * std::sin(angle));
    }
  for (int head = 0; head < kHeads; head++) {
    int count = 0;
    for (int slot = 0; slot < setting.lens[static_cast<size_t>(head)]; slot++)
      if (slot % 3 != 1) slots[static_cast<size_t>(head * stride + count++)] = slot;
    lens[static_cast<size_t>(head)] = head == 1 ? -1 : head == 2 ? 0 : count;
  }
  for (size_t i = 0; i < delta.size(); i++) delta[i] = i % 5 == 0 ? 0 : static_cast<int32_t>(hash_word(408, i) % 99) - 49;
  WnCacheRotateParams p{};
  p.cache = setting.host;
  p.slots = slots.data();
  p.lens = lens.data();
  p.delta = delta.data();
  p.cos_sin = turns ? table.data() : nullptr;
  p.report = report.data();
  p.stride = p.max_count = stride;
  p.max_positions = max_positions;
  p.rope_dims = rope_dims;
  p.frozen_page = turns ? setting.cache.table[0] : -1;
  WnCacheRotateParams on = p;
  cache_rotate_check_ref(p);
  on.cache = setting.device;
  on.slots = device.upload(slots);
  on.lens = device.upload(lens);
  on.delta = device.upload(delta);
  on.cos_sin = turns ? device.upload(table) : nullptr;
  on.report = device.poisoned<int32_t>(report.size());
  if (!device.finish(wn_cache_rotate_check(&on, nullptr))) return;
  compare_exact(outcome, device.download(on.report, report.size()), report, "report of moves below position 0");
  for (int32_t& position : setting.positions) position += 100;
  setting.host.positions = setting.positions.data();
  on.cache.positions = setting.device.positions = device.upload(setting.positions);
  cache_rotate_check_ref(p);
  if (!device.finish(wn_cache_rotate_check(&on, nullptr))) return;
  compare_exact(outcome, device.download(on.report, report.size()), report, "report");
  if (!device.finish(wn_cache_rotate(&on, nullptr))) return;
  cache_rotate_ref(p);
  setting.compare_all(device, outcome);
}

}  // namespace

void add_edit_cases(Cases& cases) {
  auto name = [](std::initializer_list<int> parts) {
    std::string text;
    for (int part : parts) text += (text.empty() ? "" : "-") + std::to_string(part);
    return text;
  };
  for (int d : {8, 80, 128, 256})
    for (int spread : {0, 1, 2})
      for (auto [keys, values, bias] : {std::tuple{0, 1, 0}, {1, 0, 1}, {2, 0, 0}, {2, 1, 1}})
        cases.push_back({"cache_merge", name({d, spread, keys, values, bias}),
                         [=](Outcome& outcome) { run_merge(d, spread == 2 ? 300 : 130, spread, keys, values, bias, outcome); }});
  cases.push_back({"cache_merge", "faults", run_merge_faults});
  for (auto [d, rope] : {std::pair{8, 8}, {80, 32}, {128, 128}, {256, 256}})
    for (bool turns : {false, true})
      for (int longest : {5, 200})
        cases.push_back({"cache_rotate", name({d, rope, longest, turns}), [=](Outcome& outcome) { run_rotate(d, rope, longest, turns, outcome); }});
}

}  // namespace winnow::test
