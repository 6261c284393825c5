#include <algorithm>
#include <cmath>

#include "../kernels/axpby.h"
#include "../kernels/block_scores.h"
#include "../kernels/block_summary.h"
#include "../kernels/quantise.h"
#include "../kernels/random_scores.h"
#include "../kernels/slot_norms.h"
#include "../kernels/top_k.h"
#include "../kernels/window_scores.h"
#include "cache_case.h"

namespace winnow::parity {
namespace {

struct WindowCase {
  CacheCase cache;
  int32_t rows;
  int32_t window;
  WindowReduce reduce;
  PoolKind pool;
  int32_t pool_size;
  GqaReduce gqa;
  float soft_cap = 0;
  int32_t sliding_window = 0;
};

const WindowCase kWindowCases[] = {
    {{1, 1, 8, 8, 1}, 1, 1, WindowReduce::kMean, PoolKind::kNone, 0, GqaReduce::kNone},
    {{9, 3, 64, 64, 255, 17}, 2, 32, WindowReduce::kMean, PoolKind::kAverage, 5, GqaReduce::kMean},
    {{9, 3, 64, 64, 256}, 1, 8, WindowReduce::kVariance, PoolKind::kMax, 7, GqaReduce::kSum},
    {{7, 1, 80, 80, 1000}, 1, 3, WindowReduce::kMax, PoolKind::kAverage, 3, GqaReduce::kMax},
    {{8, 2, 128, 128, 130, 30, true}, 2, 1, WindowReduce::kSum, PoolKind::kNone, 1, GqaReduce::kAll},
    {{4, 1, 64, 64, 300, 0, false, 4}, 1, 16, WindowReduce::kMean, PoolKind::kMax, 5, GqaReduce::kNone},
    {{6, 2, 40, 24, 17}, 3, 15, WindowReduce::kVariance, PoolKind::kAverage, 31, GqaReduce::kNone},
    {{6, 2, 64, 64, 257, 9}, 2, 9, WindowReduce::kMean, PoolKind::kNone, 0, GqaReduce::kMean, 0.7f},
    {{4, 1, 80, 80, 130, 0, true}, 1, 1, WindowReduce::kSum, PoolKind::kMax, 3, GqaReduce::kNone, 3.0f, 90},
    {{2, 1, 64, 64, 300, 0, false, 4}, 1, 20, WindowReduce::kVariance, PoolKind::kNone, 0, GqaReduce::kMax, 0.0f, 64},
};

struct Rows {
  std::vector<std::unique_ptr<Cache>> owned;
  std::vector<const Cache*> caches;
  int64_t max_len = 0;
  Rows(const CacheCase& c, int32_t rows, DType element, uint64_t seed) {
    for (int32_t r = 0; r < rows; r++) {
      owned.push_back(MakeCache(c, element, seed + r));
      caches.push_back(owned.back().get());
      max_len = std::max<int64_t>(max_len, owned.back()->MaxLen(0));
    }
  }
};

void WindowScoresParity(Report& report) {
  constexpr uint64_t seed = 8;
  for (const WindowCase& c : kWindowCases) {
    std::vector<float> first;
    for (const Context& context : AllContexts()) {
      const Rows rows(c.cache, c.rows, context.act(), seed);
      const size_t lists = ListsAfter(c.gqa, c.cache.num_query_heads, c.cache.num_kv_heads);
      Elements q(size_t(c.rows) * c.window * c.cache.num_query_heads * c.cache.head_dim, context.act());
      q.FillNoise(seed, 5);
      Guarded<float> out(c.rows * lists * rows.max_len);
      const WindowScoresParams params{q.data(), rows.caches.data(), c.rows, 0, c.cache.num_query_heads, c.window, 0.4f, c.soft_cap,
                                      c.sliding_window, c.reduce, c.pool, c.pool_size, c.gqa, rows.max_len, out.data()};
      const Status status = WindowScores(context, params);
      std::vector<double> expected(out.size());
      WindowScoresRef(params, expected.data());
      const Case id{"window_scores", context.isa,
                    Describe(c.cache) + " rows=" + std::to_string(c.rows) + " w=" + std::to_string(c.window) + " reduce=" +
                        std::to_string(static_cast<int>(c.reduce)) + " pool=" + std::to_string(static_cast<int>(c.pool)) +
                        " gqa=" + std::to_string(static_cast<int>(c.gqa)) + " cap=" + std::to_string(c.soft_cap) + " sliding=" +
                        std::to_string(c.sliding_window) + NumericsOf(context),
                    seed};
      const double bound = !context.has_bf16() ? 3e-6 : c.cache.bits > 0 ? 1e-2 : 2e-3;
      report.Check(id, RelativeRms(out.data(), expected.data(), expected.size()), bound, status.ok() && out.intact());
      if (context.has_bf16()) continue;
      if (first.empty()) first.assign(out.data(), out.data() + out.size());
      report.Check({id.op, id.isa, id.params + " same bits", seed}, DifferentBytes(out.data(), first.data(), out.size() * 4), 0);
    }
  }
}

void SlotNormsParity(Report& report) {
  for (const CacheCase& c : {CacheCase{1, 1, 8, 8, 1}, CacheCase{3, 3, 64, 40, 257, 9}, CacheCase{2, 2, 80, 64, 130, 0, false, 4}}) {
    for (const int32_t what : {0, 1}) {
      std::vector<float> first;
      for (const Context& context : AllContexts()) {
        const Rows rows(c, 2, context.act(), 4);
        Guarded<float> out(size_t(2) * c.num_kv_heads * rows.max_len);
        const SlotNormsParams params{rows.caches.data(), 2, 0, what, rows.max_len, out.data()};
        const Status status = SlotNorms(context, params);
        std::vector<double> expected(out.size());
        SlotNormsRef(params, expected.data());
        const Case id{"slot_norms", context.isa, Describe(c) + " what=" + std::to_string(what) + NumericsOf(context), 4};
        report.Check(id, RelativeRms(out.data(), expected.data(), expected.size()), 1e-6, status.ok() && out.intact());
        if (context.has_bf16()) continue;
        if (first.empty()) first.assign(out.data(), out.data() + out.size());
        report.Check({id.op, id.isa, id.params + " same bits", 4}, DifferentBytes(out.data(), first.data(), out.size() * 4), 0);
      }
    }
  }
}

void BlockParity(Report& report) {
  const CacheCase cases[] = {{1, 1, 8, 8, 1}, {9, 3, 64, 64, 257, 60}, {7, 1, 80, 80, 1000}, {4, 2, 128, 128, 300, 0, false, 2}};
  for (const CacheCase& c : cases) {
    for (const int32_t page_size : {1, 15, 16, 64, 100}) {
      std::vector<float> first;
      for (const Context& context : AllContexts()) {
        const Rows rows(c, 2, context.act(), 6);
        const int64_t pages = (rows.max_len + page_size - 1) / page_size + 1;
        Guarded<float> summary(size_t(2) * c.num_kv_heads * pages * 2 * c.head_dim);
        const BlockSummaryParams params{rows.caches.data(), 2, 0, page_size, 0, pages, summary.data()};
        const Status status = BlockSummary(context, params);
        std::vector<double> expected(summary.size());
        BlockSummaryRef(params, expected.data());
        const std::string name = Describe(c) + " page=" + std::to_string(page_size) + NumericsOf(context);
        report.Check({"block_summary", context.isa, name, 6}, LargestError(summary.data(), expected.data(), expected.size()), 0,
                     status.ok() && summary.intact());

        const int32_t query_len = page_size == 15 ? 3 : 1;
        Elements q(size_t(2) * query_len * c.num_query_heads * c.head_dim, context.act());
        q.FillNoise(6, 9);
        for (const GqaReduce gqa : {GqaReduce::kNone, GqaReduce::kMean, GqaReduce::kMax, GqaReduce::kAll}) {
          Guarded<float> out(size_t(2) * ListsAfter(gqa, c.num_query_heads, c.num_kv_heads) * pages);
          const BlockScoresParams scores{q.data(), context.act(), summary.data(), 2, query_len, c.num_query_heads, c.num_kv_heads,
                                         c.head_dim, pages, gqa, out.data()};
          const Status scored = BlockScores(context, scores);
          std::vector<double> bounds(out.size());
          BlockScoresRef(scores, bounds.data());
          const Case id{"block_scores", context.isa, name + " gqa=" + std::to_string(static_cast<int>(gqa)), 6};
          report.Check(id, RelativeRms(out.data(), bounds.data(), bounds.size()), 1e-6, scored.ok() && out.intact());
          if (context.has_bf16() || gqa != GqaReduce::kMean) continue;
          if (first.empty()) first.assign(out.data(), out.data() + out.size());
          report.Check({id.op, id.isa, id.params + " same bits", 6}, DifferentBytes(out.data(), first.data(), out.size() * 4), 0);
        }
      }
    }
  }
}

/// Scores with ties, missing entries and NaN.
void TopKParity(Report& report) {
  for (const int64_t length : {1, 3, 15, 16, 17, 255, 1000}) {
    for (const Flatten flatten : {Flatten::kNone, Flatten::kLists, Flatten::kAll}) {
      for (const auto& [first, last] : {std::pair<int32_t, int32_t>{0, 0}, {4, 8}, {2000, 2000}}) {
        const int64_t rows = 3;
        const int64_t lists = 4;
        Guarded<float> scores(rows * lists * length);
        for (size_t i = 0; i < scores.size(); i++) {
          const double u = Uniform(9, length, i);
          scores[i] = u < 0.1 ? -INFINITY : u < 0.12 ? NAN : static_cast<float>(std::floor(u * 9) - 4);
          if (scores[i] == 0.0f && i % 2 == 0) scores[i] = -0.0f;
        }
        const int64_t budgets = flatten == Flatten::kNone ? rows * lists : flatten == Flatten::kLists ? rows : 1;
        Guarded<int32_t> counts(budgets);
        for (int64_t i = 0; i < budgets; i++) counts[i] = static_cast<int32_t>(Uniform(10, length, i) * length * rows * lists / budgets);
        const TopKParams params{scores.data(), rows, lists, length, counts.data(), first, last, flatten};
        TopKResult result;
        const Status status = TopK(params, &result);
        const TopKResult expected = TopKRef(params);
        const bool same = result.offsets == expected.offsets && result.values == expected.values;
        report.Check({"top_k", Isa::kScalar,
                      "n=" + std::to_string(length) + " flatten=" + std::to_string(static_cast<int>(flatten)) + " protect=" +
                          std::to_string(first) + "+" + std::to_string(last),
                      9},
                     same ? 0 : 1, 0, status.ok() && scores.intact() && counts.intact());
      }
    }
  }
}

void QuantiseParity(Report& report) {
  for (const int bits : {2, 4, 8}) {
    for (const int along : {0, 1}) {
      for (const auto& [rows, dim, group] : {std::tuple<int, int, int>{64, 64, 32}, {64, 8, 8}, {128, 80, 16}, {192, 256, 64}}) {
        const PlaneFormat format{static_cast<uint8_t>(bits), static_cast<uint8_t>(along), static_cast<int16_t>(group)};
        const std::string name = "bits=" + std::to_string(bits) + " along=" + std::to_string(along) + " n=" + std::to_string(rows) +
                                 " d=" + std::to_string(dim) + " group=" + std::to_string(group);
        if (!CheckFormat("x", bits, group, along, rows, dim).ok()) {
          report.Skip({"quantise", Isa::kScalar, name, 12}, "the group does not divide this shape");
          continue;
        }
        Guarded<float> x(size_t(rows) * dim), out(size_t(rows) * dim);
        Fill(x, 12, dim, 3);
        for (int i = 0; i < dim; i++) x[size_t(5) * dim + i] = 7.0f;
        const Status status = QuantiseRoundTrip(x.data(), rows, dim, format, out.data());
        std::vector<double> expected(out.size());
        QuantiseRoundTripRef(x.data(), rows, dim, format, expected.data());
        // A value half way between two codes may fall to either side of fp64: at most one step, and rarely.
        size_t different = 0;
        for (size_t i = 0; i < out.size(); i++) different += std::fabs(out[i] - expected[i]) > 1e-6 * std::fabs(expected[i]) + 1e-6;
        report.Check({"quantise", Isa::kScalar, name, 12}, static_cast<double>(different) / static_cast<double>(out.size()), 1e-3,
                     status.ok() && out.intact());
        const double step = 10.0 / ((1 << bits) - 1);
        report.Check({"quantise", Isa::kScalar, name + " step", 12}, LargestError(out.data(), expected.data(), out.size()), step);
      }
    }
  }
}

void RandomScoresParity(Report& report) {
  Guarded<float> out(size_t(2) * 3 * 5000);
  RandomScores({2, 3, 5000, 42, 7, out.data()});
  double sum = 0;
  double squares = 0;
  float low = 1;
  float high = 0;
  for (size_t i = 0; i < 15000; i++) {
    sum += out[i];
    squares += out[i] * out[i];
    low = std::min(low, out[i]);
    high = std::max(high, out[i]);
  }
  const Case id{"random_scores", Isa::kScalar, "seed=42 layer=7", 42};
  report.Check({id.op, id.isa, "rows alike", 42}, DifferentBytes(out.data(), out.data() + 15000, 60000), 0, out.intact());
  report.Check({id.op, id.isa, "mean of uniform numbers", 42}, std::fabs(sum / 15000 - 0.5), 0.01);
  report.Check({id.op, id.isa, "second moment of uniform numbers", 42}, std::fabs(squares / 15000 - 1.0 / 3), 0.01);
  report.Check({id.op, id.isa, "range", 42}, low >= 0 && high < 1 ? 0 : 1, 0);
  Guarded<float> other(size_t(3) * 5000);
  RandomScores({1, 3, 5000, 42, 8, other.data()});
  double product = 0;
  for (size_t i = 0; i < 15000; i++) product += (out[i] - 0.5) * (other[i] - 0.5);
  report.Check({id.op, id.isa, "layers uncorrelated", 42}, std::fabs(product / 15000 * 12), 0.04);
}

void AxpbyParity(Report& report) {
  Guarded<float> x(1000), y(1000), out(1000);
  Fill(x, 1, 1);
  Fill(y, 1, 2);
  x[3] = y[17] = -INFINITY;
  std::vector<double> expected(1000);
  for (int i = 0; i < 1000; i++) expected[i] = i == 3 || i == 17 ? -INFINITY : -2.0 * x[i] + 0.0 * y[i];
  Axpby(x.data(), -2.0f, y.data(), 0.0f, 1000, out.data());
  report.Check({"axpby", Isa::kScalar, "-inf marks a missing slot", 1}, RelativeRms(out.data(), expected.data(), 1000), 1e-7, out.intact());
  Guarded<float> reduced(250);
  ReduceHeads(y.data(), 1, 4, 250, HeadReduce::kMean, reduced.data());
  std::vector<double> mean(250);
  for (int i = 0; i < 250; i++) mean[i] = (double(y[i]) + y[250 + i] + y[500 + i] + y[750 + i]) / 4;
  report.Check({"reduce_heads", Isa::kScalar, "mean of 4 lists, -inf wins", 1}, RelativeRms(reduced.data(), mean.data(), 250), 1e-6,
               reduced.intact());
}

}  // namespace

WINNOW_PARITY(window_scores, WindowScoresParity);
WINNOW_PARITY(slot_norms, SlotNormsParity);
WINNOW_PARITY(block_scores, BlockParity);
WINNOW_PARITY(top_k, TopKParity);
WINNOW_PARITY(quantise, QuantiseParity);
WINNOW_PARITY(random_scores, RandomScoresParity);
WINNOW_PARITY(axpby, AxpbyParity);

}  // namespace winnow::parity
