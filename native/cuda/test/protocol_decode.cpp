// The kernel itself, translated for the host.
#include "emulated/decode_attention.cpp"
#include "protocols.h"

namespace winnow::test {
namespace {

/// With a ring short enough to walk all orders.
template <typename Base, int kStagesT>
struct ShortRing : Base {
  static constexpr int kStages = kStagesT, kLag = kStages > 4 ? 4 : kStages - 1;
};

template <typename C>
RecordedRun record_decode(const std::string& name, const std::vector<int32_t>& lens, bool has_bias = false, bool is_planted = false) {
  const int segments = static_cast<int>(lens.size()), d = C::kHeadDim;
  std::vector<int32_t> table, selected;
  int stride = 1;
  for (const int32_t len : lens) stride = std::max(stride, (len + 63) / 64);
  for (int i = 0; i < segments * stride; i++) table.push_back(i);
  for (int i = 0; i < segments * stride * 64; i++) selected.push_back(i % (stride * 64));
  std::vector<uint16_t> q(size_t(segments) * d, 0x3f80), out(q.size()), storage(table.size() * 128 * d + 64, 0x3f80);
  std::vector<float> bias(table.size() * 64 + 4, 0);
  std::vector<char> workspace(1 << 20, 0);
  const auto up = [](auto* pointer, uintptr_t bytes) {
    return reinterpret_cast<decltype(pointer)>((reinterpret_cast<uintptr_t>(pointer) + bytes - 1) / bytes * bytes);
  };
  WnDecodeAttentionParams p{};
  p.q = q.data();
  p.pages = up(storage.data(), 128);
  p.page_table = table.data();
  p.kv_lens = lens.data();
  p.log_bias = has_bias ? up(bias.data(), 16) : nullptr;
  if (C::kGather) {
    p.selection = WN_SELECT_TOKENS;
    p.selected = selected.data();
    p.selected_lens = lens.data();
    p.selected_stride = stride * 64;
  }
  p.out = out.data();
  p.workspace = up(workspace.data(), 256);
  p.workspace_bytes = 1 << 19;
  p.batch = segments;
  p.num_query_heads = p.num_kv_heads = 1;
  p.head_dim = d;
  p.num_pages = static_cast<int32_t>(table.size());
  p.page_table_stride = stride;
  p.softmax_scale = 1;
  RecordedRun run{"decode " + name, {}, is_planted};
  // The fault hangs some orders of the emulation itself; this one it survives.
  emulate::set_order(is_planted ? 1 : 0);
  emulate::record(&run.events);
  launch<C>(p, 1, nullptr);
  emulate::record(nullptr);
  return run;
}

}  // namespace

std::vector<RecordedRun> decode_runs() {
  using Two = DecodeConfig<128, 8, false>;
  using Four = DecodeConfig<64, 8, false>;
  using Gather = DecodeConfig<128, 8, true>;
  std::vector<RecordedRun> runs;
  for (int tiles : {1, 2, 3, 5, 7}) {
    const std::string n = ", tiles " + std::to_string(tiles);
    runs.push_back(record_decode<ShortRing<Two, 2>>("2 groups, 2 stages" + n, {64 * tiles}));
    runs.push_back(record_decode<ShortRing<Two, 4>>("2 groups, 4 stages" + n, {64 * tiles}));
    runs.push_back(record_decode<ShortRing<Four, 4>>("4 groups, 4 stages" + n, {64 * tiles}));
    runs.push_back(record_decode<ShortRing<Gather, 2>>("tokens, 2 groups, 2 stages" + n, {64 * tiles}));
    runs.push_back(record_decode<ShortRing<Gather, 4>>("tokens, 2 groups, 4 stages" + n, {64 * tiles}));
  }
  runs.push_back(record_decode<ShortRing<Two, 2>>("with a bias, tiles 4", {256}, true));
  runs.push_back(record_decode<ShortRing<Two, 2>>("three sequences, tiles 2, 1, 3", {128, 0, 130}));
  // Where a stage serves now one group, now the other, a wait on the parity alone may return a round early.
  runs.push_back(record_decode<ShortRing<Two, 3>>("2 groups, 3 stages", {64 * 9}, false, true));
  runs.push_back(record_decode<ShortRing<Four, 3>>("4 groups, 3 stages", {64 * 13}, false, true));
  return runs;
}

}  // namespace winnow::test
