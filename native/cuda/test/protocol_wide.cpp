// The kernel itself, translated for the host.
#include "emulated/linear_wide.cpp"
#include "protocols.h"

namespace winnow::test {
namespace {

template <typename C>
RecordedRun record_wide(const std::string& name, int steps) {
  const int cols = 64 * steps, rows = C::kRows;
  std::vector<uint16_t> x(size_t(cols) * C::kTokens + 64, 0x3f80), weight(size_t(cols) * rows + 64, 0x3f80);
  std::vector<float> out(size_t(rows) * C::kTokens);
  const auto up = [](uint16_t* pointer) { return reinterpret_cast<uint16_t*>((reinterpret_cast<uintptr_t>(pointer) + 127) / 128 * 128); };
  WnLinearParams p{};
  p.x = up(x.data());
  p.weight = up(weight.data());
  p.out = out.data();
  p.num_tokens = C::kTokens;
  p.rows = rows;
  p.cols = cols;
  p.out_type = WN_F32;
  p.variant = 1;  // one block a tile
  RecordedRun run{"wide " + name + ", steps " + std::to_string(steps), {}};
  emulate::set_order(0);
  emulate::record(&run.events);
  launch<C>(p, 0, nullptr);
  emulate::record(nullptr);
  return run;
}

}  // namespace

std::vector<RecordedRun> wide_runs() {
  std::vector<RecordedRun> runs;
  for (int steps : {1, 2, 3, 5, 7}) {
    runs.push_back(record_wide<WideConfig<16, 2>>("2 stages", steps));
    runs.push_back(record_wide<WideConfig<32, 3>>("3 stages", steps));
  }
  // The rings that the dispatch has.
  runs.push_back(record_wide<WideConfig<16, 6>>("6 stages", 9));
  runs.push_back(record_wide<WideConfig<32, 5>>("5 stages", 9));
  runs.push_back(record_wide<WideConfig<64, 4>>("4 stages", 9));
  return runs;
}

}  // namespace winnow::test
