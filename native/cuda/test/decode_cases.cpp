#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

struct DecodeCase {
  int head_dim, group_size, num_kv_heads;
  std::vector<int32_t> lens;  ///< batch * num_kv_heads
  int selection = WN_SELECT_ALL;
  bool has_bias = false;
  double density = 0.3;
  int page = 64;           ///< slots of a selected page
  bool is_attend = false;  ///< lists as attendDecode gives them: the last slot is read anyway, some lists are all or nothing
  bool per_row = false;
};

std::string name_of(const DecodeCase& c, int i) {
  static const char* const kinds[] = {"all", "pages", "tokens"};
  return std::string(kinds[c.selection]) + "-d" + std::to_string(c.head_dim) + "-g" + std::to_string(c.group_size) + "-h" +
         std::to_string(c.num_kv_heads) + "-segments" + std::to_string(c.lens.size()) + "-len" +
         std::to_string(c.lens[0]) + (c.has_bias ? "-bias" : "") + (c.page < 64 ? "-page" + std::to_string(c.page) : "") +
         (c.is_attend ? "-own" : "") + (c.per_row ? "-row" : "") + "-" + std::to_string(i);
}

void run_decode(const DecodeCase& c, Outcome& outcome) {
  const int segments = static_cast<int>(c.lens.size()), batch = segments / c.num_kv_heads;
  const int heads = c.num_kv_heads * c.group_size;
  const PagedCache cache(11, c.lens, c.head_dim);
  const auto q = normal_bf16(12, static_cast<size_t>(batch) * heads * c.head_dim, 2);
  std::vector<float> bias(static_cast<size_t>(cache.num_pages) * 64);
  for (size_t i = 0; i < bias.size(); i++)
    bias[i] = hash_word(13, i) % 9 == 0 ? -INFINITY : static_cast<float>(normal(14, i));
  std::vector<int32_t> selected, selected_lens;
  const int unit = c.selection == WN_SELECT_PAGES ? c.page : 1, lists = c.per_row ? batch : segments;
  const int stride = (*std::max_element(c.lens.begin(), c.lens.end()) + unit - 1) / unit + 1;
  for (int s = 0; s < lists; s++) {
    std::vector<int32_t> chosen;
    const int32_t len = c.per_row ? *std::max_element(c.lens.begin() + s * c.num_kv_heads, c.lens.begin() + (s + 1) * c.num_kv_heads) : c.lens[s];
    for (int i = 0; i < (len + unit - 1) / unit; i++)
      if (uniform(15, static_cast<uint64_t>(s) * stride + i) < c.density) chosen.push_back(i);
    selected_lens.push_back(c.is_attend && s % 5 == 3 ? -(s & 1) : static_cast<int32_t>(chosen.size()));
    chosen.resize(stride, 0);
    selected.insert(selected.end(), chosen.begin(), chosen.end());
  }

  WnDecodeAttentionParams p{};
  p.batch = batch;
  p.num_query_heads = heads;
  p.num_kv_heads = c.num_kv_heads;
  p.head_dim = c.head_dim;
  p.num_pages = cache.num_pages;
  p.page_table_stride = cache.stride;
  p.selected_stride = stride;
  p.selection = c.selection;
  p.selected_page = c.page;
  p.one_list_per_row = c.per_row;
  p.reads_own = c.is_attend;
  p.softmax_scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  WnDecodeAttentionParams host = p;
  host.q = q.data();
  host.pages = cache.pages.data();
  host.page_table = cache.table.data();
  host.kv_lens = c.lens.data();
  host.selected = selected.data();
  host.selected_lens = selected_lens.data();
  host.log_bias = c.has_bias ? bias.data() : nullptr;
  std::vector<double> want(q.size()), want_lse(static_cast<size_t>(batch) * heads);
  decode_attention_ref(host, want.data(), want_lse.data());

  Device device(outcome);
  p.q = device.upload(q);
  p.pages = device.upload(cache.pages);
  p.page_table = device.upload(cache.table);
  p.kv_lens = device.upload(c.lens);
  if (c.selection != WN_SELECT_ALL) {
    p.selected = device.upload(selected);
    p.selected_lens = device.upload(selected_lens);
  }
  p.log_bias = c.has_bias ? device.upload(bias) : nullptr;
  p.workspace_bytes = wn_decode_attention_workspace_bytes(&p);
  p.workspace = device.zeroed<char>(p.workspace_bytes);
  std::vector<uint16_t> first;
  // Over and over in one workspace: it must be left as it has to be found, and the result must repeat bit for bit. The
  // second run is several calls behind one another, each of which may begin before the one ahead has ended.
  for (int run = 0; run < 2; run++) {
    auto* out = device.poisoned<uint16_t>(q.size());
    auto* lse = device.poisoned<float>(want_lse.size());
    p.out = out;
    p.lse = lse;
    for (int i = run == 1 ? 3 : 0; i > 0; i--) wn_decode_attention(&p, nullptr);
    if (!device.finish(wn_decode_attention(&p, nullptr))) return;
    const auto got = device.download(out, q.size());
    compare(outcome, widen(got), want, 6e-3);
    compare_lse(outcome, device.download(lse, want_lse.size()), want_lse, 2e-3);
    if (run > 0) compare_exact(outcome, got, first, "another run");
    first = got;
  }
}

}  // namespace

void add_decode_cases(Cases& cases) {
  std::vector<DecodeCase> table;
  for (int d : {64, 128, 256}) {
    for (int32_t len : {0, 1, 3, 63, 64, 65, 255, 1000}) table.push_back({d, 4, 1, {len}});
    for (int group : {1, 2, 7, 8, 9, 16}) table.push_back({d, group, 2, {300, 129}});
    table.push_back({d, 4, 2, {0, 5, 64, 0, 700, 1, 0, 0}});
    table.push_back({d, 4, 2, {130, 500}, WN_SELECT_ALL, true});
    table.push_back({d, 2, 1, {9000}});
    table.push_back({d, 2, 1, {40000}});
    std::vector<int32_t> many;
    for (int i = 0; i < 320; i++) many.push_back(static_cast<int32_t>(hash_word(16, i) % 400));
    table.push_back({d, 2, 8, many});
    for (int selection : {WN_SELECT_PAGES, WN_SELECT_TOKENS})
      for (double density : {0.0, 0.2, 1.0}) {
        table.push_back({d, 4, 2, {700, 0, 65, 1000}, selection, false, density});
        table.push_back({d, 4, 2, {700, 64, 65, 1000}, selection, true, density});
        table.push_back({d, 9, 1, {5000}, selection, false, density});
      }
    for (const bool is_attend : {false, true})
      for (const bool per_row : {false, true})
        for (double density : {0.0, 0.1, 0.5, 1.0}) {
          // A list for a row names slots past the end of its shorter heads.
          if (is_attend || !per_row)
            table.push_back({d, 4, 2, {700, 1, 65, 1000, 64, 1025, 16, 33}, WN_SELECT_TOKENS, true, density, 64, is_attend, per_row});
          for (int page : {16, 32, 64})
            table.push_back({d, 4, 2, {700, 1, 65, 1000, 64, 1025, 16, 33}, WN_SELECT_PAGES, false, density, page, is_attend, per_row});
        }
    for (int page : {16, 32}) table.push_back({d, 4, 8, {many.begin(), many.begin() + 64}, WN_SELECT_PAGES, false, 0.5, page, true, false});
    for (int page : {16, 64}) table.push_back({d, 4, 1, {20000}, WN_SELECT_PAGES, false, 0.5, page, true, false});
    if (d == 64) {  // more segments than a block's table holds
      std::vector<int32_t> more;
      for (int i = 0; i < 640; i++) more.push_back(static_cast<int32_t>(hash_word(17, i) % 70));
      table.push_back({d, 1, 8, more});
    }
    table.push_back({d, 1, 8, many, WN_SELECT_TOKENS, true, 0.5});
    table.push_back({d, 1, 8, many, WN_SELECT_PAGES, true, 0.5});
  }
  int i = 0;
  for (const auto& c : table)
    cases.push_back({"decode_attention", name_of(c, i++), [c](Outcome& outcome) { run_decode(c, outcome); }});
}

}  // namespace winnow::test
