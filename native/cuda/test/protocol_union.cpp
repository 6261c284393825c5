// The kernel itself, translated for the host.
#include "emulated/prefill_union.cpp"
#include "protocols.h"

namespace winnow::test {
namespace {

/// One launch over `tiles` tiles of two heads, each a list of `entries` blocks; every other one is masked, on diagonals or packed.
template <typename C>
RecordedRun record_union(const std::string& name, int tiles, int entries) {
  const int tokens = 64 * entries, queries = 64 * tiles, d = C::kHeadDim;
  std::vector<uint16_t> q(size_t(queries) * 2 * d, 0x3f80), pages(size_t(entries) * 128 * d, 0x3f80), out(q.size());
  std::vector<int32_t> table, lens(tiles, entries);
  std::vector<uint32_t> codes, diagonals(entries * 2 + 64, ~0u);
  std::vector<uint64_t> masks(size_t(tiles) * entries, ~0ull);
  for (int i = 0; i < tiles * entries; i++) {
    if (i < entries) table.push_back(i);
    codes.push_back(i % entries | (i % 2 ? kBlockMasked : 0) | (i % 4 == 1 ? kBlockDiagonals : 0) | (i % 4 == 3 ? kBlockPacked : 0));
  }
  KeySetsArgs sets{};
  WnAttendSetsParams& p = sets.p;
  p.q = q.data();
  p.out = out.data();
  p.cache.pages = pages.data();
  p.cache.page_table = table.data();
  p.cache.page_table_stride = entries;
  p.cache.num_kv_heads = 1;
  p.cache.head_dim = d;
  p.num_pages = entries;
  p.num_query_heads = 2;
  p.query_len = queries;
  p.max_slots = tokens + queries;  // all keys lie ahead of the queries
  p.softmax_scale = 1;
  p.heads[0] = 3;
  sets.words = diagonals.data();
  sets.lists = 1;
  sets.pack = 2;
  sets.slot_words = 2 * entries;
  KeyPlan plan{};
  plan.codes = codes.data();
  plan.lens = lens.data();
  plan.masks = masks.data();
  plan.packed = reinterpret_cast<char*>(pages.data());
  plan.groups = plan.halves = 1;
  plan.tiles = tiles;
  plan.capacity = plan.blocks = plan.packed_blocks = entries;
  RecordedRun run{"union " + name, {}};
  emulate::record(&run.events);
  launch<C>(sets, plan, nullptr);
  emulate::record(nullptr);
  return run;
}

}  // namespace

std::vector<RecordedRun> union_runs() {
  std::vector<RecordedRun> runs;
  for (int entries : {1, 2, 5, 10}) runs.push_back(record_union<PrefillUnionConfig<64, 128, 2>>("2 stages, blocks " + std::to_string(entries), 1, entries));
  runs.push_back(record_union<PrefillUnionConfig<64, 128, 2>>("3 tiles, blocks 3", 3, 3));
  // The rings that the dispatch has.
  runs.push_back(record_union<PrefillUnionConfig<128, 128, 3>>("head_dim 128, 3 stages, blocks 7", 1, 7));
  runs.push_back(record_union<PrefillUnionConfig<256, 64, 2>>("head_dim 256, 2 stages, 2 tiles, blocks 3", 2, 3));
  return runs;
}

}  // namespace winnow::test
