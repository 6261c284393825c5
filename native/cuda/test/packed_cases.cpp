#include <algorithm>

#include "packed_page.h"
#include "support.h"

namespace winnow::test {
namespace {

/// Pages of one format with all their fields, told apart by their bytes.
struct Arena {
  WnPlaneFormat planes[2];
  int64_t page_bytes;
  std::vector<uint8_t> pages;
  std::vector<int32_t> positions, counts;
  std::vector<float> bias;

  Arena(uint32_t seed, int num_pages, WnPlaneFormat keys, WnPlaneFormat values, int head_dim, int head_dim_v)
      : planes{keys, values}, page_bytes(packed_places(keys, values, head_dim, head_dim_v).bytes) {
    pages.resize(static_cast<size_t>(num_pages * page_bytes));
    positions.resize(static_cast<size_t>(num_pages) * 64);
    counts.resize(positions.size());
    bias.resize(positions.size());
    for (size_t i = 0; i < pages.size(); i++) pages[i] = static_cast<uint8_t>(hash_word(seed, i));
    for (size_t i = 0; i < positions.size(); i++) {
      positions[i] = static_cast<int32_t>(hash_word(seed + 1, i) >> 8);
      counts[i] = static_cast<int32_t>(hash_word(seed + 2, i) % 9);
      bias[i] = static_cast<float>(normal(seed + 3, i));
    }
    if (keys.bits != 0 || values.bits != 0) return;
    const auto elements = normal_bf16(seed + 4, pages.size() / 2, 3);
    std::memcpy(pages.data(), elements.data(), pages.size());
  }
  WnPageFormat host() { return {pages.data(), positions.data(), counts.data(), bias.data(), {planes[0], planes[1]}}; }
  WnPageFormat upload(Device& device) const {
    return {device.upload(pages), device.upload(positions), device.upload(counts), device.upload(bias), {planes[0], planes[1]}};
  }
  void expect(Device& device, const WnPageFormat& at, Outcome& outcome, const std::string& name) const {
    compare_exact(outcome, device.download(static_cast<const uint8_t*>(at.pages), pages.size()), pages, (name + " pages").c_str());
    compare_exact(outcome, device.download(at.positions, positions.size()), positions, (name + " positions").c_str());
    compare_exact(outcome, device.download(at.counts, counts.size()), counts, (name + " counts").c_str());
    compare_exact(outcome, device.download(at.log_bias, bias.size()), bias, (name + " bias").c_str());
  }
};

/// Elements are packed, keys first, then values; packed pages are copied, unpacked, and read.
void run_convert(int dim, int dim_v, WnPlaneFormat keys, WnPlaneFormat values, Outcome& outcome) {
  constexpr int kPages = 9;
  const WnPlaneFormat none{};
  Arena elements(301, kPages, none, none, dim, dim_v), half(311, kPages, keys, none, dim, dim_v), whole(321, kPages, keys, values, dim, dim_v);
  // A group of equal numbers, of huge ones, and of negative zeros.
  auto* words = reinterpret_cast<uint16_t*>(elements.pages.data());
  const int page_words = static_cast<int>(elements.page_bytes) / 2;
  for (int i = 0; i < 64 * dim; i++) {
    words[page_words + i] = to_bf16(1.25);
    words[2 * page_words + i] = to_bf16(i % 3 == 0 ? 3e5 : -7e4);
    words[3 * page_words + i] = 0x8000;
  }
  struct Step {
    std::vector<int32_t> source, target;
  };
  auto entries = [](int format, std::initializer_list<int> pages) {
    std::vector<int32_t> list;
    for (int page : pages) list.push_back(format < 0 ? page : packed_entry(format, page));
    return list;
  };
  const std::vector<Step> steps = {{entries(-1, {1, 2, 3, 5}), entries(0, {4, 3, 2, 1})},
                                   {entries(0, {1, 2, 3, 4}), entries(1, {8, 1, 3, 2})},
                                   {entries(1, {8, 2}), entries(1, {4, 5})},
                                   {entries(1, {4, 5, 3, 1}), entries(-1, {6, 7, 8, 1})}};
  Device device(outcome);
  const WnPageFormat device_elements = elements.upload(device);
  const std::vector<WnPageFormat> device_formats = {half.upload(device), whole.upload(device)};
  WnPageConvertParams p{device_elements, device.upload(device_formats), nullptr, nullptr, 0, dim, dim_v};
  const WnPageFormat host_formats[2] = {half.host(), whole.host()};
  // Two lists of channels, for formats that keep some.
  std::vector<int32_t> channels;
  for (int list = 0; list < 2; list++)
    for (int i = 0; i < keys.group; i++) channels.push_back(i * dim / std::max(keys.group, 1) + (list == 1 && 2 * keys.group <= dim));
  const std::vector<int32_t> list_of = {0, 1, 1, 0};
  const auto *device_channels = device.upload(channels), *device_list_of = device.upload(list_of);
  for (const Step& step : steps) {
    WnPageConvertParams host = p;
    if (keys.bits == WN_SOME_CHANNELS) {
      host.channels = channels.data();
      host.channel_list = list_of.data();
      p.channels = device_channels;
      p.channel_list = device_list_of;
      host.channel_stride = p.channel_stride = keys.group;
    }
    host.elements = elements.host();
    host.formats = host_formats;
    host.source = step.source.data();
    host.target = step.target.data();
    host.num_jobs = p.num_jobs = static_cast<int32_t>(step.source.size());
    page_convert_ref(host);
    p.source = device.upload(step.source);
    p.target = device.upload(step.target);
    if (!device.finish(wn_page_convert(&p, nullptr))) return;
  }
  elements.expect(device, device_elements, outcome, "element");
  half.expect(device, device_formats[0], outcome, "half packed");
  whole.expect(device, device_formats[1], outcome, "packed");
  if (dim != dim_v) return;

  // A head of packed pages of both formats and a tail of elements.
  const std::vector<int32_t> table = {packed_entry(1, 8), packed_entry(0, 1), 2, packed_entry(1, 2), 6, 0}, lens = {170, 64};
  for (int what = WN_READ_KEYS; what <= WN_READ_POSITIONS; what++) {
    WnCacheReadParams read{};
    read.cache.rows = 1;
    read.cache.num_kv_heads = 2;
    read.cache.head_dim = dim;
    read.cache.page_table_stride = 3;
    read.what = what;
    read.max_len = 171;
    WnCacheReadParams host = read;
    host.cache.pages = elements.pages.data();
    host.cache.page_table = table.data();
    host.cache.kv_lens = lens.data();
    host.cache.positions = elements.positions.data();
    host.cache.counts = elements.counts.data();
    host.cache.log_bias = elements.bias.data();
    host.cache.formats = host_formats;
    const size_t count = 2 * 171 * static_cast<size_t>(what <= WN_READ_VALUES ? dim : 1);
    std::vector<double> want(count);
    cache_read_ref(host, want.data());
    read.cache.pages = device_elements.pages;
    read.cache.page_table = device.upload(table);
    read.cache.kv_lens = device.upload(lens);
    read.cache.positions = device_elements.positions;
    read.cache.counts = device_elements.counts;
    read.cache.log_bias = device_elements.log_bias;
    read.cache.formats = p.formats;
    const int type = what <= WN_READ_BIAS ? WN_F32 : WN_I32;
    read.out = device.poisoned_elements(type, count);
    if (!device.finish(wn_cache_read(&read, nullptr))) return;
    compare_exact(outcome, device.elements(type, read.out, count), want, "what is read");
  }
}

/// Heads of `lens` slots; every page is packed but each `nth`, and the last.
struct PackedDecode {
  int head_dim, bits, key_group, group_size, kv_heads, nth;
  std::vector<int32_t> lens;
  bool is_uneven = false;  ///< an eighth of the key channels four times as large, and all values eight times; of whole pages
};

void run_decode(const PackedDecode& c, Outcome& outcome) {
  const int segments = static_cast<int>(c.lens.size()), batch = segments / c.kv_heads, heads = c.kv_heads * c.group_size;
  const PagedCache cache(341, c.lens, c.head_dim);
  const WnPlaneFormat keys{c.bits, c.key_group, 0}, values{c.bits, 32, 1};
  const int page_count = std::max(cache.num_pages, 1);
  Arena packed(351, page_count + 1, keys, values, c.head_dim, c.head_dim);
  std::vector<int32_t> table = cache.table, source, target;
  for (int segment = 0; segment < segments; segment++)
    for (int i = 0; i < c.lens[segment] / 64; i++) {
      int32_t& entry = table[segment * cache.stride + i];
      if (i % c.nth == c.nth - 1) continue;
      source.push_back(entry);
      target.push_back(packed_entry(0, (entry + 7) % page_count + 1));
      entry = target.back();
    }
  std::vector<uint16_t> pages = cache.pages;
  if (c.is_uneven)
    for (size_t i = 0; i < pages.size(); i++) {
      const bool is_value = i / c.head_dim % 128 >= 64;
      if (pages[i] & 0x7f80) pages[i] += is_value ? 3 << 7 : i % c.head_dim % 8 == 3 ? 2 << 7 : 0;
    }
  std::vector<int32_t> fields(static_cast<size_t>(page_count + 1) * 64);
  std::vector<float> bias(fields.size());
  const WnPageFormat format = packed.host();
  WnPageConvertParams convert{{pages.data(), fields.data(), fields.data(), bias.data(), {}}, &format, source.data(), target.data(),
                              static_cast<int32_t>(source.size()), c.head_dim, c.head_dim};
  page_convert_ref(convert);
  const auto q = normal_bf16(342, static_cast<size_t>(batch) * heads * c.head_dim, 2);

  WnDecodePackedParams p{};
  p.cache.rows = batch;
  p.cache.num_kv_heads = c.kv_heads;
  p.cache.head_dim = c.head_dim;
  p.cache.page_table_stride = cache.stride;
  p.num_query_heads = heads;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  WnDecodePackedParams host = p;
  host.q = q.data();
  host.cache.pages = pages.data();
  host.cache.page_table = table.data();
  host.cache.kv_lens = c.lens.data();
  host.format = format;
  std::vector<double> want(q.size()), want_lse(static_cast<size_t>(batch) * heads);
  decode_packed_ref(host, want.data(), want_lse.data());

  Device device(outcome);
  p.q = device.upload(q);
  p.cache.pages = device.upload(pages);
  p.cache.page_table = device.upload(table);
  p.cache.kv_lens = device.upload(c.lens);
  p.format = packed.upload(device);
  p.workspace_bytes = wn_decode_packed_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(p.workspace_bytes);
  auto* out = device.poisoned<uint16_t>(q.size());
  auto* lse = device.poisoned<float>(want_lse.size());
  p.out = out;
  p.lse = lse;
  if (!device.finish(wn_decode_packed(&p, nullptr))) return;
  compare(outcome, widen(device.download(out, q.size())), want, 6e-3);
  compare_lse(outcome, device.download(lse, want_lse.size()), want_lse, 5e-3);
}

}  // namespace

void add_packed_cases(Cases& cases) {
  auto add = [&](int dim, int dim_v, WnPlaneFormat keys, WnPlaneFormat values) {
    auto name_of = [](const WnPlaneFormat& plane) {
      return std::to_string(plane.bits) + (plane.along == 0 ? "s" : "c") + std::to_string(plane.group);
    };
    cases.push_back({"page_convert", std::to_string(dim) + "-" + std::to_string(dim_v) + "-" + name_of(keys) + "-" + name_of(values),
                     [=](Outcome& outcome) { run_convert(dim, dim_v, keys, values, outcome); }});
  };
  for (int dim : {64, 128, 256})
    for (int bits : {8, 4, 2}) add(dim, dim, {bits, 32, 0}, {bits, 32, 1});
  for (auto [dim, kept] : {std::pair{8, 1}, {64, 17}, {128, 128}, {256, 96}}) add(dim, dim, {WN_SOME_CHANNELS, kept, 0}, {8, 8, 1});
  for (int along : {0, 1}) {
    add(8, 8, {2, 4, along}, {4, 1, 1 - along});
    add(96, 64, {4, 16, along}, {2, 64, 1 - along});
    add(16, 16, {8, 16, along}, {2, 2, along});
  }
  add(128, 128, {4, 64, 0}, {2, 128, 1});
  add(128, 64, {2, 64, 0}, {8, 16, 1});
  add(64, 128, {8, 64, 0}, {4, 64, 1});

  std::vector<PackedDecode> decodes;
  for (int d : {64, 128})
    for (int bits : {8, 4, 2}) {
      for (int32_t len : {1, 64, 65, 300}) decodes.push_back({d, bits, 32, 4, 1, 99, {len}});
      decodes.push_back({d, bits, 64, 8, 2, 99, {200, 640}});
      decodes.push_back({d, bits, 32, 7, 2, 2, {0, 129, 1000, 2}});
      decodes.push_back({d, bits, 32, 1, 1, 1, {100}});
      decodes.push_back({d, bits, 32, 4, 1, 3, {5000}});
      if (bits != 2) decodes.push_back({d, bits, 32, 4, 2, 99, {704, 128}, true});
      // Of so many heads each is one block's, and a warp's share of the first goes around its ring more than once.
      std::vector<int32_t> lens(256, 40);
      lens[0] = 1900;
      decodes.push_back({d, bits, 32, 1, 32, 11, lens});
    }
  for (const PackedDecode& c : decodes)
    cases.push_back({"decode_packed",
                     "d" + std::to_string(c.head_dim) + "-" + std::to_string(c.bits) + "bits-k" + std::to_string(c.key_group) + "-g" + std::to_string(c.group_size) + "-len" + std::to_string(c.lens[0]) + "-every" +
                         std::to_string(c.nth) + (c.is_uneven ? "-uneven" : ""),
                     [c](Outcome& outcome) { run_decode(c, outcome); }});
}

}  // namespace winnow::test
