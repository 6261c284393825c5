#include <cmath>

#include "../kernels/attend_prefill.h"
#include "../kernels/column_stats.h"
#include "../kernels/plan_mix.h"
#include "cache_case.h"

namespace winnow::parity {
namespace {

struct StatsCase {
  CacheCase cache;
  int32_t query_len;
  ColumnReduce reduce;
  int32_t first_row = 0;
  float soft_cap = 0;
  int32_t sliding_window = 0;
};

const StatsCase kCases[] = {
    {{1, 1, 8, 8, 1}, 1, ColumnReduce::kSum},
    {{9, 3, 64, 64, 300}, 300, ColumnReduce::kSum},
    {{4, 2, 16, 16, 150}, 150, ColumnReduce::kMean, 40},
    {{4, 2, 40, 24, 130}, 130, ColumnReduce::kMax, 129},
    {{6, 2, 64, 64, 200}, 200, ColumnReduce::kVariance},
    {{3, 1, 64, 64, 100}, 100, ColumnReduce::kEntropy, 17, 5.0f},
    {{3, 1, 64, 64, 200, 0, true}, 200, ColumnReduce::kSum, 0, 0, 150},
};

/// Statistics over chunks of the given size.
std::vector<float> StatsOf(const StatsCase& c, const Context& context, uint64_t seed, int32_t chunk, std::vector<double>* expected) {
  const int32_t heads = c.cache.num_query_heads;
  Elements q(size_t(c.query_len) * heads * c.cache.head_dim, context.act());
  q.FillNoise(seed, 999999);
  const int64_t width = c.cache.slots + 3;
  std::vector<float> state(ColumnPlanes(c.reduce) * heads * width);
  std::vector<float> out(heads * width);
  for (int32_t start = 0; start < c.query_len; start += chunk) {
    const int32_t count = std::min(chunk, c.query_len - start);
    CacheCase until = c.cache;
    until.slots = c.cache.slots - c.query_len + start + count;
    const auto cache = MakeCache(until, context.act(), seed);
    const void* queries = static_cast<uint8_t*>(q.data()) + size_t(start) * heads * c.cache.head_dim * SizeOf(context.act());
    std::vector<float> lse(size_t(count) * heads);
    Elements attended(size_t(count) * heads * c.cache.head_dim_v, context.act());
    (void)AttendPrefill(context, {.cache = cache.get(), .layer = 0, .num_query_heads = heads, .query_len = count, .q = queries,
                                  .softmax_scale = 0.3f, .soft_cap = c.soft_cap, .sliding_window = c.sliding_window,
                                  .windows = nullptr, .out = attended.data(), .lse = lse.data()});
    const ColumnStatsParams params{.cache = cache.get(), .layer = 0, .num_query_heads = heads, .query_len = count, .q = queries,
                                   .softmax_scale = 0.3f, .soft_cap = c.soft_cap, .sliding_window = c.sliding_window,
                                   .lse = lse.data(), .first_row = c.first_row, .reduce = c.reduce, .state = state.data(), .width = width};
    (void)ColumnStats(context, params);
    if (expected != nullptr) {
      expected->resize(heads * width);
      ColumnStatsRef(params, expected->data());
    }
  }
  (void)FinishColumnStats(state.data(), heads, width, c.reduce, c.first_row, c.cache.slots, out.data());
  return out;
}

void ColumnStatsParity(Report& report) {
  constexpr uint64_t seed = 31;
  for (const StatsCase& c : kCases) {
    std::vector<float> first;
    for (const Context& context : AllContexts()) {
      std::vector<double> expected;
      const std::vector<float> whole = StatsOf(c, context, seed, c.query_len, &expected);
      const Case id{"column_stats", context.isa, Describe(c.cache) + " T=" + std::to_string(c.query_len) + " reduce=" +
                    std::to_string(static_cast<int>(c.reduce)) + " from=" + std::to_string(c.first_row) + NumericsOf(context), seed};
      report.Check(id, RelativeRms(whole.data(), expected.data(), whole.size()), context.has_bf16() ? 1e-2 : 1e-5);
      for (const int32_t chunk : {64, 50, 7}) {
        const std::vector<float> cut = StatsOf(c, context, seed, chunk, nullptr);
        report.Check({id.op, id.isa, id.params + " chunks of " + std::to_string(chunk), seed},
                     DifferentBytes(whole.data(), cut.data(), whole.size() * 4), 0);
      }
      if (context.has_bf16()) continue;
      if (first.empty()) first = whole;
      report.Check({id.op, id.isa, id.params + " same bits", seed}, DifferentBytes(whole.data(), first.data(), whole.size() * 4), 0);
    }
  }
}

void PlanMixParity(Report& report) {
  constexpr int64_t parts = 3;
  constexpr int64_t rows = 37;
  constexpr int64_t width = 24;
  Guarded<float> outs(parts * rows * width), gates(rows * parts), mixed(rows * width), scaled(rows * width);
  Guarded<Bf16> narrow(rows * width);
  Fill(outs, 1, 2);
  Fill(gates, 1, 3);
  for (int64_t i = 0; i < rows; i++) {
    gates[i * parts + 1] = 0;
    outs[(rows + i) * width] = NAN;  // part 1 has gate 0 everywhere: it is not read
  }
  (void)MixParts(outs.data(), gates.data(), parts, rows, width, mixed.data());
  std::vector<double> expected(rows * width);
  for (int64_t i = 0; i < rows * width; i++) {
    for (int64_t p = 0; p < parts; p += 2) expected[i] += double{gates[i / width * parts + p]} * outs[p * rows * width + i];
  }
  report.Check({"plan_mix", Isa::kScalar, "parts by gates", 1}, RelativeRms(mixed.data(), expected.data(), expected.size()), 1e-6, mixed.intact());
  const auto view = [](DType dtype, void* data, std::initializer_list<int64_t> dims) {
    Tensor t;
    t.dtype = dtype;
    for (const int64_t d : dims) t.dims[t.rank++] = d;
    t.data = static_cast<std::byte*>(data);
    return t;
  };
  (void)ScaleRows(view(DType::kF32, mixed.data(), {rows, width}), gates.data(), rows, width, view(DType::kF32, scaled.data(), {rows, width}));
  (void)ScaleRows(view(DType::kF32, mixed.data(), {rows, width}), gates.data(), rows, width, view(DType::kBf16, narrow.data(), {rows, width}));
  for (int64_t i = 0; i < rows * width; i++) expected[i] = double{mixed[i]} * gates[i / width];
  report.Check({"plan_mix", Isa::kScalar, "gains f32", 1}, RelativeRms(scaled.data(), expected.data(), expected.size()), 1e-7, scaled.intact());
  report.Check({"plan_mix", Isa::kScalar, "gains bf16", 1}, RelativeRms(narrow.data(), expected.data(), expected.size()), 4e-3, narrow.intact());
  int32_t yes[] = {1, 2, 3, 4, 5, 6, 7, 8}, no[] = {9, 10, 11, 12}, predicate[] = {0, 5}, chosen[8];
  (void)ChooseRows(view(DType::kI32, predicate, {2}), view(DType::kI32, yes, {2, 2, 2}), view(DType::kI32, no, {2, 2, 1}), view(DType::kI32, chosen, {2, 2, 2}));
  const int32_t wanted[] = {9, -1, 10, -1, 5, 6, 7, 8};
  report.Check({"plan_mix", Isa::kScalar, "rows chosen", 1}, DifferentBytes(chosen, wanted, sizeof wanted), 0);
}

}  // namespace

WINNOW_PARITY(column_stats, ColumnStatsParity);
WINNOW_PARITY(plan_mix, PlanMixParity);

}  // namespace winnow::parity
