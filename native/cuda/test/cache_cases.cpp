#include <algorithm>
#include <tuple>

#include "support.h"

namespace winnow::test {
namespace {

/// Positions, counts and biases of every slot of an arena, told apart by their values.
struct SlotFields {
  std::vector<int32_t> positions, counts;
  std::vector<float> bias;
  explicit SlotFields(int num_pages) : positions(static_cast<size_t>(num_pages) * 64), counts(positions.size()), bias(positions.size()) {
    for (size_t i = 0; i < positions.size(); i++) {
      positions[i] = static_cast<int32_t>(hash_word(201, i) >> 8);
      counts[i] = static_cast<int32_t>(hash_word(202, i) % 9);
      bias[i] = static_cast<float>(normal(203, i));
    }
  }
};

WnCacheView view_of(const PagedCache& cache, int rows, int heads) {
  WnCacheView view{};
  view.rows = rows;
  view.num_kv_heads = heads;
  view.head_dim = cache.head_dim;
  view.page_table_stride = cache.stride;
  return view;
}

void run_read(int head_dim, int what, Outcome& outcome) {
  const std::vector<int32_t> lens = {0, 63, 64, 1, 200, 7};
  const PagedCache cache(211, lens, head_dim);
  SlotFields fields(cache.num_pages);
  WnCacheReadParams p{view_of(cache, 2, 3), nullptr, what, 203};
  const size_t count = lens.size() * static_cast<size_t>(p.max_len) * (what <= WN_READ_VALUES ? static_cast<size_t>(head_dim) : 1);
  WnCacheReadParams host = p;
  host.cache.pages = const_cast<uint16_t*>(cache.pages.data());
  host.cache.page_table = cache.table.data();
  host.cache.kv_lens = lens.data();
  host.cache.positions = fields.positions.data();
  host.cache.counts = fields.counts.data();
  host.cache.log_bias = fields.bias.data();
  std::vector<double> want(count);
  cache_read_ref(host, want.data());
  Device device(outcome);
  p.cache.pages = device.upload(cache.pages);
  p.cache.page_table = device.upload(cache.table);
  p.cache.kv_lens = device.upload(lens);
  p.cache.positions = device.upload(fields.positions);
  p.cache.counts = device.upload(fields.counts);
  p.cache.log_bias = device.upload(fields.bias);
  if (what <= WN_READ_BIAS) {
    auto* out = device.poisoned<float>(count);
    p.out = out;
    if (!device.finish(wn_cache_read(&p, nullptr))) return;
    compare_exact(outcome, device.download(out, count), std::vector<float>(want.begin(), want.end()), "values");
  } else {
    auto* out = device.poisoned<int32_t>(count);
    p.out = out;
    if (!device.finish(wn_cache_read(&p, nullptr))) return;
    compare_exact(outcome, device.download(out, count), std::vector<int32_t>(want.begin(), want.end()), "values");
  }
}

void run_insert(int head_dim, Outcome& outcome) {
  const int heads = 3, entries = 70;
  const std::vector<int32_t> lens = {100, 130, 64};
  const PagedCache cache(221, lens, head_dim);
  SlotFields fields(cache.num_pages), want(cache.num_pages);
  const size_t count = static_cast<size_t>(heads) * entries;
  std::vector<float> keys(count * head_dim), values(keys.size()), bias(count);
  std::vector<int32_t> positions(count), counts(count), slots(count);
  for (size_t i = 0; i < keys.size(); i++) {
    keys[i] = static_cast<float>(normal(222, i));
    values[i] = static_cast<float>(normal(223, i));
  }
  for (size_t i = 0; i < count; i++) {
    const int at = static_cast<int>(i) % entries, slot = lens[i / entries] - 1 - at;
    slots[i] = at % 5 == 4 || slot < 0 ? -1 : slot;
    positions[i] = static_cast<int32_t>(i);
    counts[i] = at;
    bias[i] = static_cast<float>(at) / 4;
  }
  WnCacheInsertParams p{};
  p.cache = view_of(cache, 1, heads);
  p.num_entries = entries;
  auto pages = cache.pages;
  WnCacheInsertParams host = p;
  host.cache.pages = pages.data();
  host.cache.page_table = cache.table.data();
  host.cache.positions = want.positions.data();
  host.cache.counts = want.counts.data();
  host.cache.log_bias = want.bias.data();
  host.keys = keys.data();
  host.values = values.data();
  host.positions = positions.data();
  host.counts = counts.data();
  host.bias = bias.data();
  host.slots = slots.data();
  cache_insert_ref(host);
  Device device(outcome);
  auto* device_pages = device.upload(cache.pages);
  p.cache.pages = device_pages;
  p.cache.page_table = device.upload(cache.table);
  p.cache.positions = device.upload(fields.positions);
  p.cache.counts = device.upload(fields.counts);
  p.cache.log_bias = device.upload(fields.bias);
  p.keys = device.upload(keys);
  p.values = device.upload(values);
  p.positions = device.upload(positions);
  p.counts = device.upload(counts);
  p.bias = device.upload(bias);
  p.slots = device.upload(slots);
  if (!device.finish(wn_cache_insert(&p, nullptr))) return;
  compare_exact(outcome, device.download(device_pages, pages.size()), pages, "pages");
  compare_exact(outcome, device.download(p.cache.positions, want.positions.size()), want.positions, "positions");
  compare_exact(outcome, device.download(p.cache.counts, want.counts.size()), want.counts, "counts");
  compare_exact(outcome, device.download(p.cache.log_bias, want.bias.size()), want.bias, "bias");
}

/// Inside one arena with all fields; `shared` 1: one list for all rows, 2: no list, as a copy of pages.
void run_move(int head_dim, int shared, Outcome& outcome) {
  const std::vector<int32_t> lens = {150, 64, 200}, counts = {90, 0, 128};
  const PagedCache cache(231, {150, 64, 200, 192, 192, 192}, head_dim);
  SlotFields fields(cache.num_pages), want = fields;
  std::vector<int32_t> indices;
  for (int row = 0; row < (shared == 0 ? 3 : 1); row++)
    for (int i = 0; i < 128; i++) indices.push_back(std::min(149, i + static_cast<int>(hash_word(232, i + row) % 2)));
  WnGatherCompactParams p{};
  p.num_rows = 3;
  p.head_dim = head_dim;
  p.source_stride = p.target_stride = cache.stride;
  p.indices_stride = shared == 0 ? 128 : 0;
  p.max_count = 128;
  const std::vector<int32_t> target(cache.table.begin() + 3 * cache.stride, cache.table.end());
  auto pages = cache.pages;
  WnGatherCompactParams host = p;
  host.source = pages.data();
  host.source_table = cache.table.data();
  host.indices = shared == 2 ? nullptr : indices.data();
  host.counts = counts.data();
  host.target_table = target.data();
  host.source_bias = want.bias.data();
  host.positions = want.positions.data();
  host.slot_counts = want.counts.data();
  gather_compact_ref(host, pages.data(), want.bias.data());
  Device device(outcome);
  auto* device_pages = device.upload(cache.pages);
  p.source = p.target = device_pages;
  p.source_table = device.upload(cache.table);
  p.indices = shared == 2 ? nullptr : device.upload(indices);
  p.counts = device.upload(counts);
  p.target_table = device.upload(target);
  p.source_bias = p.target_bias = device.upload(fields.bias);
  p.positions = device.upload(fields.positions);
  p.slot_counts = device.upload(fields.counts);
  if (!device.finish(wn_gather_compact(&p, nullptr))) return;
  compare_exact(outcome, device.download(device_pages, pages.size()), pages, "pages");
  compare_exact(outcome, device.download(p.target_bias, want.bias.size()), want.bias, "bias");
  compare_exact(outcome, device.download(p.positions, want.positions.size()), want.positions, "positions");
  compare_exact(outcome, device.download(p.slot_counts, want.counts.size()), want.counts, "counts");
}

/// Every `nth` slot of the lists leaves, the first at `hole`; `shared`: one list a row.
void run_compact(int head_dim, int len, int hole, int nth, bool shared, Outcome& outcome) {
  const std::vector<int32_t> held = {len, len, len, len};
  const PagedCache cache(241, held, head_dim);
  SlotFields fields(cache.num_pages), want = fields;
  WnCompactSlotsParams p{};
  p.cache = {.rows = 2, .num_kv_heads = 2, .head_dim = head_dim, .page_table_stride = cache.stride};
  p.one_list_per_row = shared;
  p.slots_stride = len;
  std::vector<int32_t> slots, lens;
  for (int list = 0; list < (shared ? 2 : 4); list++) {
    const size_t first = slots.size();
    for (int i = 0; i < len; i++)
      if (i < hole + list || (i - hole - list) % nth != 0) slots.push_back(i);
    lens.push_back(list == 1 ? -1 : static_cast<int32_t>(slots.size() - first));
    slots.resize(first + len, -1);
  }
  auto pages = cache.pages;
  WnCompactSlotsParams host = p;
  host.cache.pages = pages.data();
  host.cache.page_table = cache.table.data();
  host.cache.positions = want.positions.data();
  host.cache.counts = want.counts.data();
  host.cache.log_bias = want.bias.data();
  host.slots = slots.data();
  host.lens = lens.data();
  compact_slots_ref(host);
  Device device(outcome);
  auto* device_pages = device.upload(cache.pages);
  p.cache.pages = device_pages;
  p.cache.page_table = device.upload(cache.table);
  p.cache.positions = device.upload(fields.positions);
  p.cache.counts = device.upload(fields.counts);
  p.cache.log_bias = device.upload(fields.bias);
  p.slots = device.upload(slots);
  p.lens = device.upload(lens);
  if (!device.finish(wn_compact_slots(&p, nullptr))) return;
  compare_exact(outcome, device.download(device_pages, pages.size()), pages, "pages");
  compare_exact(outcome, device.download(p.cache.positions, want.positions.size()), want.positions, "positions");
  compare_exact(outcome, device.download(p.cache.counts, want.counts.size()), want.counts, "counts");
  compare_exact(outcome, device.download(p.cache.log_bias, want.bias.size()), want.bias, "bias");
}

void run_random(int64_t count, Outcome& outcome) {
  WnRandomNormalParams p{nullptr, count, 77, 0.02f};
  std::vector<double> wide(static_cast<size_t>(count));
  random_normal_ref(p, wide.data());
  std::vector<uint16_t> want(wide.size());
  for (size_t i = 0; i < want.size(); i++) want[i] = to_bf16(wide[i]);
  Device device(outcome);
  auto* out = device.poisoned<uint16_t>(want.size());
  p.out = out;
  if (!device.finish(wn_random_normal(&p, nullptr))) return;
  compare_exact(outcome, device.download(out, want.size()), want, "values");
}

}  // namespace

void add_cache_cases(Cases& cases) {
  auto name = [](int a, int b) { return std::to_string(a) + "-" + std::to_string(b); };
  for (int d : {8, 64, 256})
    for (int what = WN_READ_KEYS; what <= WN_READ_POSITIONS; what++)
      cases.push_back({"cache_read", name(d, what), [=](Outcome& outcome) { run_read(d, what, outcome); }});
  for (int d : {8, 128}) {
    cases.push_back({"cache_insert", std::to_string(d), [=](Outcome& outcome) { run_insert(d, outcome); }});
    for (int shared : {0, 1, 2})
      cases.push_back({"gather_compact", "fields-" + name(d, shared), [=](Outcome& outcome) { run_move(d, shared, outcome); }});
  }
  for (int d : {8, 64, 128, 256})
    for (const auto& [len, hole, nth] : {std::tuple{1, 1, 5}, {65, 0, 100}, {700, 333, 1000}, {700, 699, 1000}, {513, 3, 2}, {4500, 2060, 7}})
      for (bool shared : {false, true})
        cases.push_back({"compact_slots", name(d, len) + "-" + name(hole, nth) + (shared ? "-row" : ""),
                         [=, len = len, hole = hole, nth = nth](Outcome& outcome) { run_compact(d, len, hole, nth, shared, outcome); }});
  for (int count : {1, 2048, 100003})
    cases.push_back({"random_normal", std::to_string(count), [=](Outcome& outcome) { run_random(count, outcome); }});
}

}  // namespace winnow::test
