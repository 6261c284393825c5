// The kernel itself, translated for the host.
#include "emulated/prefill_attention.cpp"
#include "protocols.h"

namespace winnow::test {
namespace {

/// One launch over `heads` tiles of `blocks` steps each, or over lists of `blocks` entries.
template <typename C>
RecordedRun record_prefill(const std::string& name, int heads, int blocks, bool has_lists = false, bool handed_out = false,
                           bool is_planted = false) {
  const int tokens = has_lists ? 64 * blocks : C::kBlock * blocks, queries = C::kRows, d = C::kHeadDim;
  std::vector<uint16_t> q(size_t(queries) * heads * d, 0x3f80), k(size_t(tokens) * d, 0x3f80), out(q.size());
  std::vector<int32_t> row_ptr, ids;
  for (int i = 0; i <= heads * ((queries + 127) / 128); i++) row_ptr.push_back(i * blocks);
  for (int i = 0; i < row_ptr.back(); i++) ids.push_back(i % blocks);
  int32_t counters[2] = {0, 0};
  WnPrefillAttentionParams p{};
  p.q = q.data();
  p.k = p.v = k.data();
  p.out = out.data();
  p.num_query_heads = heads;
  p.num_kv_heads = 1;
  p.head_dim = d;
  p.query_len = queries;
  p.kv_len = tokens;
  p.q_offset = tokens;
  p.kv_token_stride = p.kv_head_stride = d;
  p.softmax_scale = 1;
  if (has_lists) {
    p.block_row_ptr = row_ptr.data();
    p.block_ids = ids.data();
  }
  if (handed_out) p.scheduler = counters;
  RecordedRun run{"prefill " + name, {}, is_planted};
  emulate::record(&run.events);
  launch<C>(p, nullptr);
  emulate::record(nullptr);
  return run;
}

}  // namespace

std::vector<RecordedRun> prefill_runs() {
  std::vector<RecordedRun> runs;
  for (int blocks : {1, 2, 3, 5}) {
    const std::string n = std::to_string(blocks);
    runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 2, false, false>>("in order, 2 groups, 2 stages, steps " + n, 1, blocks));
    runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 2, true, false>>("overlapped, 2 groups, 2 stages, steps " + n, 1, blocks));
    runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 2, true, true>>("halves of a list, 2 stages, blocks " + n, 1, blocks, true));
  }
  runs.push_back(record_prefill<PrefillConfig<64, 3, 128, 2, false, false>>("in order, 3 groups, 2 stages, steps 3", 1, 3));
  runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 3, true, false>>("overlapped, 2 groups, 3 stages, steps 4", 1, 4));
  runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 2, false, false>>("3 tiles in order, steps 1", 3, 1));
  runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 2, true, false>>("3 tiles overlapped, steps 2", 3, 2));
  runs.push_back(record_prefill<PrefillConfig<256, 2, 64, 2, true, false>>("2 tiles, one query buffer, steps 2", 2, 2));
  runs.push_back(record_prefill<PrefillConfig<64, 2, 128, 2, true, false>>("3 tiles handed out, steps 2", 3, 2, false, true));
  // The rings that the dispatch has.
  runs.push_back(record_prefill<PrefillConfig<64, 3, 160, 4, false, false>>("head_dim 64, 3 groups, 4 stages, steps 3", 1, 3));
  runs.push_back(record_prefill<PrefillConfig<128, 3, 128, 2, false, false>>("head_dim 128, 3 groups, 2 stages, steps 5", 1, 5));
  runs.push_back(record_prefill<PrefillConfig<256, 2, 80, 2, true, false>>("head_dim 256, 2 stages, steps 5", 1, 5));
  for (int blocks : {2, 3, 5})
    runs.push_back(record_prefill<PrefillConfig<128, 2, 128, 3, true, true>>("head_dim 128, 3 lists, blocks " + std::to_string(blocks), 3, blocks, true));
  runs.push_back(record_prefill<PrefillConfig<256, 2, 64, 2, true, true>>("head_dim 256, lists, 2 stages, blocks 5", 1, 5, true));
  return runs;
}

}  // namespace winnow::test
