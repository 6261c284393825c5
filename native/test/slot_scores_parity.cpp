#include <algorithm>
#include <cmath>

#include "../kernels/k_means.h"
#include "../kernels/list_ops.h"
#include "../kernels/pairwise_cosine.h"
#include "../kernels/slot_scores.h"
#include "cache_case.h"

namespace winnow::parity {
namespace {

const CacheCase kCases[] = {{1, 1, 8, 8, 1}, {9, 3, 64, 40, 257, 60}, {7, 1, 80, 80, 1000}, {4, 2, 128, 128, 300, 0, false, 2}};

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

/// Holds a result against its reference, and against the first instruction set's bits.
class Sameness {
 public:
  void Check(Report& report, const Context& context, const Case& id, const Guarded<float>& out, const std::vector<double>& expected,
             double bound, bool ok) {
    report.Check(id, RelativeRms(out.data(), expected.data(), expected.size()), bound, ok && out.intact());
    if (context.has_bf16()) return;
    if (first_.empty()) first_.assign(out.data(), out.data() + out.size());
    report.Check({id.op, id.isa, id.params + " same bits", id.seed}, DifferentBytes(out.data(), first_.data(), out.size() * 4), 0);
  }

 private:
  std::vector<float> first_;
};

void ChannelParity(Report& report) {
  for (const CacheCase& c : kCases) {
    for (const auto& [lists, gqa] : {std::pair{1, GqaReduce::kMax}, {c.num_kv_heads, GqaReduce::kMean}, {c.num_query_heads, GqaReduce::kNone},
                                     {c.num_kv_heads, GqaReduce::kAll}}) {
      Sameness same;
      for (const Context& context : AllContexts()) {
        const Rows rows(c, 2, context.act(), 4);
        const int32_t query_len = lists == 1 ? 3 : 1;
        std::vector<int32_t> channels, lens;
        const int32_t stride = c.head_dim / 2;
        for (int32_t list = 0; list < 2 * lists; list++) {
          int32_t n = 0;
          for (int32_t ch = list % 3; n < stride && ch < c.head_dim; ch += 2 + list % 2, n++) channels.push_back(ch);
          lens.push_back(list == 1 ? -1 : n);
          channels.resize(static_cast<size_t>(list + 1) * stride, -1);
        }
        Elements q(size_t(2) * query_len * c.num_query_heads * c.head_dim, context.act());
        q.FillNoise(4, 5);
        Guarded<float> out(size_t(2) * ListsAfter(gqa, c.num_query_heads, c.num_kv_heads) * rows.max_len);
        const ChannelScoresParams params{q.data(), context.act(), rows.caches.data(), 2, 0, query_len, c.num_query_heads, channels.data(),
                                         stride, lens.data(), lists, gqa, rows.max_len, out.data()};
        const Status status = ChannelScores(context, params);
        std::vector<double> expected(out.size());
        ChannelScoresRef(params, expected.data());
        const Case id{"channel_scores", context.isa, Describe(c) + " lists=" + std::to_string(lists) + " T=" + std::to_string(query_len) +
                          " gqa=" + std::to_string(static_cast<int>(gqa)) + NumericsOf(context), 4};
        same.Check(report, context, id, out, expected, 1e-6, status.ok());
      }
    }
  }
}

void PlaneParity(Report& report) {
  for (const int32_t width : {1, 8, 16, 33}) {
    for (const GqaReduce gqa : {GqaReduce::kNone, GqaReduce::kMax}) {
      Sameness same;
      for (const Isa isa : AvailableIsas()) {
        const Context context{isa, Numerics::kReference};
        Guarded<float> q(size_t(2) * 2 * 6 * width), plane(size_t(2) * 2 * 300 * width);
        Fill(q, 2, width);
        Fill(plane, 3, width);
        const int32_t used[] = {300, 17, 0, 255};
        Guarded<float> out(size_t(2) * ListsAfter(gqa, 6, 2) * 300);
        const PlaneScoresParams params{q.data(), DType::kF32, plane.data(), 2, 2, 6, 2, width, 300, used, gqa, 300, out.data()};
        const Status status = PlaneScores(context, params);
        std::vector<double> expected(out.size());
        PlaneScoresRef(params, expected.data());
        same.Check(report, context, {"plane_scores", isa, "w=" + std::to_string(width) + " gqa=" + std::to_string(static_cast<int>(gqa)), 2}, out,
                   expected, 1e-6, status.ok());
      }
    }
  }
}

void ProjectParity(Report& report) {
  for (const CacheCase& c : kCases) {
    for (const int32_t last : {0, 1}) {
      Sameness slots_same, queries_same;
      for (const Context& context : AllContexts()) {
        const Rows rows(c, 2, context.act(), 7);
        const int32_t rank = 5;
        Guarded<float> basis(size_t(c.num_kv_heads) * rank * c.head_dim);
        Fill(basis, 7, 1);
        const int64_t max_len = last > 0 ? last : rows.max_len;
        Guarded<float> out(size_t(2) * c.num_kv_heads * max_len * rank);
        const ProjectParams slots{rows.caches.data(), 0, 0, nullptr, DType::kF32, 2, c.num_kv_heads, c.num_kv_heads, c.head_dim, rank,
                                  basis.data(), last, max_len, out.data()};
        const Status status = Project(context, slots);
        std::vector<double> expected(out.size());
        ProjectRef(slots, expected.data());
        slots_same.Check(report, context, {"project", context.isa, Describe(c) + " last=" + std::to_string(last) + NumericsOf(context), 7}, out,
                         expected, 1e-6, status.ok());
        Elements q(size_t(3) * c.num_query_heads * c.head_dim, context.act());
        q.FillNoise(7, 2);
        Guarded<float> projected(size_t(3) * c.num_query_heads * rank);
        const ProjectParams queries{nullptr, 0, 0, q.data(), context.act(), 3, c.num_query_heads, c.num_kv_heads, c.head_dim, rank,
                                    basis.data(), 0, 1, projected.data()};
        const Status done = Project(context, queries);
        std::vector<double> wanted(projected.size());
        ProjectRef(queries, wanted.data());
        queries_same.Check(report, context, {"project", context.isa, Describe(c) + " queries" + NumericsOf(context), 7}, projected, wanted, 1e-6,
                           done.ok());
      }
    }
  }
}

void CosineParity(Report& report) {
  for (const CacheCase& c : kCases) {
    Sameness same;
    for (const Context& context : AllContexts()) {
      const Rows rows(c, 2, context.act(), 8);
      std::vector<int32_t> left, right, left_lens, right_lens;
      const int32_t strides[] = {9, 70};
      for (int32_t list = 0; list < 2 * c.num_kv_heads; list++) {
        const int32_t len = rows.caches[0]->head(0, list % c.num_kv_heads).len;
        for (int32_t i = 0; i < strides[0]; i++) left.push_back(i * 7 % len);
        for (int32_t i = 0; i < strides[1]; i++) right.push_back(i * 3 % len);
        left_lens.push_back(9 - list);
        right_lens.push_back(list == 1 ? 0 : 70 - list);
      }
      Guarded<float> out(size_t(2) * c.num_kv_heads * 9 * 70);
      const int32_t what = c.head_dim_v == 40 ? 1 : 0;
      const PairwiseCosineParams params{rows.caches.data(), 2, 0, what, left.data(), 9, left_lens.data(), right.data(), 70,
                                        right_lens.data(), out.data()};
      const Status status = PairwiseCosine(context, params);
      std::vector<double> expected(out.size());
      PairwiseCosineRef(params, expected.data());
      same.Check(report, context, {"pairwise_cosine", context.isa, Describe(c) + NumericsOf(context), 8}, out, expected, 1e-6, status.ok());
    }
  }
}

void KMeansParity(Report& report) {
  for (const CacheCase& c : kCases) {
    for (const auto& [clusters, iterations] : {std::pair{1, 2}, {5, 0}, {17, 3}, {64, 1}, {90, 2}}) {
      for (const Seeding seeding : {Seeding::kSpaced, Seeding::kPlusPlus}) {
        std::vector<float> first;
        for (const Context& context : AllContexts()) {
          const Rows rows(c, 2, context.act(), 9);
          const int32_t heads = c.num_kv_heads;
          Guarded<float> centroids(size_t(2) * heads * clusters * c.head_dim);
          Guarded<int32_t> assignment(size_t(2) * heads * rows.max_len), sizes(size_t(2) * heads * clusters);
          const auto run = [&](int32_t rounds) {
            return KMeans(context, {rows.caches.data(), 2, 0, 0, clusters, rounds, seeding, 3, rows.max_len, centroids.data(),
                                    assignment.data(), sizes.data()});
          };
          // The seeds are the centroids of no round; from there the reference goes its own way.
          Status status = run(0);
          const std::vector<float> seeds(centroids.data(), centroids.data() + centroids.size());
          if (status.ok()) status = run(iterations);
          double worst = 0;
          int64_t different = 0;
          int64_t slots = 0;
          int64_t miscounted = 0;
          for (int32_t list = 0; list < 2 * heads; list++) {
            const HeadCache& head = rows.caches[list / heads]->head(0, list % heads);
            const int32_t k = std::min(clusters, head.len);
            std::vector<float> x(size_t(head.len) * c.head_dim);
            for (size_t page = 0; page < head.pages.size(); page++)
              ReadRows(*head.pages[page], 0, 0, UsedSlots(head.len, static_cast<int32_t>(page)), x.data() + page * kPageSize * c.head_dim, c.head_dim);
            const std::vector<double> wide(x.begin(), x.end());
            const std::vector<double> start(seeds.begin() + size_t(list) * clusters * c.head_dim,
                                            seeds.begin() + (size_t(list) * clusters + k) * c.head_dim);
            std::vector<double> wanted(size_t(k) * c.head_dim);
            std::vector<int32_t> assigned(head.len);
            KMeansReference(wide.data(), head.len, c.head_dim, start.data(), k, iterations, wanted.data(), assigned.data());
            worst = std::max(worst, RelativeRms(centroids.data() + size_t(list) * clusters * c.head_dim, wanted.data(), wanted.size()));
            std::vector<int32_t> count(clusters, 0);
            for (int32_t s = 0; s < head.len; s++) {
              const int32_t got = assignment[size_t(list) * rows.max_len + s];
              different += got != assigned[s];
              if (got >= 0 && got < k) count[got]++;
            }
            for (int32_t i = 0; i < clusters; i++) miscounted += count[i] != sizes[size_t(list) * clusters + i];
            slots += head.len;
          }
          const std::string name = Describe(c) + " k=" + std::to_string(clusters) + " rounds=" + std::to_string(iterations) +
                                   " seeding=" + std::to_string(static_cast<int>(seeding)) + NumericsOf(context);
          // A slot half way between two centroids may fall to either side of fp64, and moves both a little.
          report.Check({"k_means", context.isa, name + " assignment", 9}, static_cast<double>(different) / static_cast<double>(slots), 2e-3,
                       status.ok() && assignment.intact() && sizes.intact());
          report.Check({"k_means", context.isa, name + " centroids", 9}, worst, different == 0 ? 1e-6 : 0.1, centroids.intact());
          report.Check({"k_means", context.isa, name + " sizes", 9}, static_cast<double>(miscounted), 0);
          if (context.has_bf16()) continue;
          if (first.empty()) first.assign(centroids.data(), centroids.data() + centroids.size());
          report.Check({"k_means", context.isa, name + " same bits", 9}, DifferentBytes(centroids.data(), first.data(), first.size() * 4), 0);
        }
      }
    }
  }
}

void GroupMeansParity(Report& report) {
  for (const CacheCase& c : kCases) {
    for (const int32_t what : {0, 1}) {
      Sameness same;
      for (const Context& context : AllContexts()) {
        const Rows rows(c, 2, context.act(), 3);
        const int32_t groups = 4;
        const int32_t dim = what == 0 ? c.head_dim : c.head_dim_v;
        std::vector<int32_t> assignment(size_t(2) * c.num_kv_heads * rows.max_len);
        for (size_t i = 0; i < assignment.size(); i++) assignment[i] = static_cast<int32_t>(Uniform(3, 1, i) * 4) - 1;
        Guarded<float> out(size_t(2) * c.num_kv_heads * groups * dim);
        const GroupMeansParams params{rows.caches.data(), 2, 0, what, groups, rows.max_len, assignment.data(), out.data()};
        const Status status = GroupMeans(context, params);
        std::vector<double> expected(out.size());
        GroupMeansRef(params, expected.data());
        same.Check(report, context, {"group_means", context.isa, Describe(c) + " what=" + std::to_string(what) + NumericsOf(context), 3}, out,
                   expected, 1e-6, status.ok());
      }
    }
  }
}

void ListParity(Report& report) {
  for (const int length : kSizes) {
    const int64_t lists = 5;
    Guarded<float> x(lists * length), weights(lists * length);
    for (size_t i = 0; i < x.size(); i++) {
      const double u = Uniform(5, length, i);
      const bool is_missing = u < 0.1 || (i / length == 3);
      x[i] = is_missing ? -INFINITY : static_cast<float>(20 * u - 10);
      weights[i] = is_missing ? -INFINITY : static_cast<float>(std::floor(8 * u) / 8);
    }
    std::vector<float> first;
    const std::string name = "n=" + std::to_string(length);
    for (const Isa isa : AvailableIsas()) {
      Guarded<float> out(x.size());
      SoftmaxLists({isa, Numerics::kReference}, x.data(), lists, length, out.data());
      std::vector<double> expected(x.size());
      for (int64_t list = 0; list < lists; list++) {
        double sum = 0;
        for (int i = 0; i < length; i++) sum += std::exp(x[list * length + i]);
        for (int i = 0; i < length; i++) {
          const float from = x[list * length + i];
          expected[list * length + i] = from == -INFINITY ? -INFINITY : std::exp(from) / sum;
        }
      }
      report.Check({"softmax_lists", isa, name, 5}, RelativeRms(out.data(), expected.data(), out.size()), 1e-6, out.intact());
      if (first.empty()) first.assign(out.data(), out.data() + out.size());
      report.Check({"softmax_lists", isa, name + " same bits", 5}, DifferentBytes(out.data(), first.data(), out.size() * 4), 0);
    }
    Guarded<float> entropy(lists);
    const bool ok = EntropyLists(weights.data(), lists, length, entropy.data()).ok();
    std::vector<double> wanted(lists);
    int64_t wrong = 0;
    Guarded<int32_t> largest(lists);
    ArgmaxLists(x.data(), lists, length, largest.data());
    for (int64_t list = 0; list < lists; list++) {
      double sum = 0;
      int32_t best = -1;
      for (int i = 0; i < length; i++) {
        sum += std::max(0.0f, weights[list * length + i]);
        const float here = x[list * length + i];
        if (here > -INFINITY && (best < 0 || here > x[list * length + best])) best = i;
      }
      for (int i = 0; i < length; i++) {
        const double p = std::max(0.0f, weights[list * length + i]) / sum;
        if (p > 0) wanted[list] -= p * std::log(p);
      }
      wrong += largest[list] != best;
    }
    report.Check({"entropy_lists", Isa::kScalar, name, 5}, LargestError(entropy.data(), wanted.data(), lists), 2e-6, ok && entropy.intact());
    report.Check({"argmax_lists", Isa::kScalar, name, 5}, static_cast<double>(wrong), 0, largest.intact());
    for (const double mass : {0.0, 0.5, 0.9, 1.0}) {
      for (const auto& [head, tail] : {std::pair{0, 0}, {2, 3}, {2000, 0}}) {
        TopKResult result;
        const TopPParams params{weights.data(), lists, length, mass, head, tail};
        const bool done = TopP(params, &result).ok();
        const TopKResult reference = TopPRef(params);
        report.Check({"top_p", Isa::kScalar, name + " mass=" + std::to_string(mass) + " protect=" + std::to_string(head) + "+" + std::to_string(tail), 5},
                     result.offsets == reference.offsets && result.values == reference.values ? 0 : 1, 0, done);
      }
    }
  }
}

}  // namespace

WINNOW_PARITY(channel_scores, ChannelParity);
WINNOW_PARITY(plane_scores, PlaneParity);
WINNOW_PARITY(project, ProjectParity);
WINNOW_PARITY(pairwise_cosine, CosineParity);
WINNOW_PARITY(k_means, KMeansParity);
WINNOW_PARITY(group_means, GroupMeansParity);
WINNOW_PARITY(list_ops, ListParity);

}  // namespace winnow::parity
