#include <algorithm>
#include <cmath>

#include "../kernels/attend_prefill.h"
#include "../kernels/attend_sets.h"
#include "../kernels/rope_shift.h"
#include "cache_case.h"

namespace winnow::parity {
namespace {

/// Lists drawn at random: [rows][per_row][blocks] of values below `most`.
struct DrawnLists {
  std::vector<int32_t> values;
  std::vector<int32_t> lens;
  Lists lists;

  void Draw(uint64_t seed, int32_t rows, int32_t per_row, int32_t blocks, int32_t most, double share) {
    lists = {.per_row = per_row, .blocks = blocks, .max_len = most};
    for (int32_t i = 0; i < rows * per_row * blocks; i++) {
      values.resize(values.size() + most, -1);
      int32_t* list = values.data() + values.size() - most;
      int32_t len = 0;
      for (int32_t v = 0; v < most; v++) {
        if (Uniform(seed, 100 + i, v) < share) list[len++] = v;
      }
      // One list of nothing, one of everything.
      lens.push_back(i == 1 ? 0 : i == 2 ? -1 : len);
    }
    lists.values = values.data();
    lists.lens = lens.data();
  }
};

struct SetsCase {
  CacheCase cache;
  int32_t rows = 1;
  int32_t query_len = 1;
  std::vector<SetKind> kinds = {SetKind::kAll};
  /// Lists a row: 0 one, 1 by KV head, 2 by query head.
  int32_t scope = 1;
  int32_t page_size = 0;
  int32_t query_block = 0;
  bool with_new = false;
  Visible visible = Visible::kCausal;
  PositionRule positions = PositionRule::kKeep;
  bool keys_rotated = true;
  bool old_only = false;
  bool some_heads = false;
  bool some_queries = false;
  /// 0 none, 1 by slot and query head, 2 by entry.
  int32_t bias = 0;
  float soft_cap = 0;
  int32_t sliding_window = 0;
  bool out_f32 = false;
};

std::vector<SetsCase> Cases() {
  using K = SetKind;
  using V = Visible;
  std::vector<SetsCase> cases;
  const auto add = [&](SetsCase c) { cases.push_back(std::move(c)); };
  const CacheCase small{4, 2, 16, 16, 70};
  const CacheCase usual{9, 3, 64, 64, 700};
  const CacheCase ragged{6, 2, 40, 24, 333, 5, true};
  add({.cache = usual, .query_len = 300});
  add({.cache = usual, .query_len = 65, .kinds = {K::kWindow}});
  add({.cache = ragged, .rows = 2, .query_len = 7, .kinds = {K::kSlots}, .with_new = true});
  add({.cache = usual, .rows = 2, .kinds = {K::kSlots}, .scope = 2, .with_new = true});
  add({.cache = usual, .query_len = 3, .kinds = {K::kPages}, .scope = 0, .page_size = 16, .with_new = true});
  add({.cache = usual, .query_len = 300, .kinds = {K::kPages}, .page_size = 64, .query_block = 64});
  add({.cache = usual, .query_len = 130, .kinds = {K::kPages}, .scope = 2, .page_size = 24, .query_block = 16});
  add({.cache = ragged, .query_len = 200, .kinds = {K::kPages}, .scope = 0, .page_size = 128, .query_block = 100});
  add({.cache = usual, .query_len = 200, .kinds = {K::kVerticalSlash}});
  add({.cache = small, .rows = 2, .query_len = 70, .kinds = {K::kVerticalSlash}, .scope = 2, .out_f32 = true});
  add({.cache = usual, .query_len = 90, .kinds = {K::kVerticalSlash, K::kPages, K::kWindow}, .page_size = 32, .query_block = 30});
  add({.cache = small, .rows = 3, .query_len = 6, .kinds = {K::kSlots, K::kWindow}, .old_only = true});
  add({.cache = usual, .rows = 2, .query_len = 9, .visible = V::kTree});
  add({.cache = small, .query_len = 5, .kinds = {K::kSlots}, .with_new = true, .visible = V::kTree, .bias = 1});
  add({.cache = usual, .query_len = 80, .visible = V::kBidirectional});
  add({.cache = usual, .query_len = 300, .visible = V::kSegments});
  add({.cache = small, .rows = 2, .query_len = 3, .visible = V::kEvery});
  add({.cache = usual, .query_len = 100, .kinds = {K::kSlots}, .with_new = true, .some_queries = true});
  add({.cache = usual, .query_len = 4, .some_heads = true, .bias = 1});
  add({.cache = ragged, .rows = 2, .query_len = 2, .kinds = {K::kSlots}, .scope = 2, .with_new = true, .bias = 2, .soft_cap = 4.0f});
  add({.cache = {4, 2, 64, 64, 600, 0, false, 4}, .rows = 2, .query_len = 2, .kinds = {K::kPages}, .page_size = 16, .with_new = true});
  add({.cache = usual, .query_len = 50, .kinds = {K::kPages}, .page_size = 64, .query_block = 50, .sliding_window = 400});
  add({.cache = small, .rows = 2, .positions = PositionRule::kCompact});
  add({.cache = small, .query_len = 1, .kinds = {K::kWindow}, .positions = PositionRule::kCompact});
  add({.cache = usual, .query_len = 4, .kinds = {K::kSlots}, .with_new = true, .positions = PositionRule::kCompact});
  add({.cache = small, .query_len = 4, .kinds = {K::kSlots}, .with_new = true, .positions = PositionRule::kCompact, .keys_rotated = false});
  add({.cache = usual, .query_len = 3, .positions = PositionRule::kClamp});
  add({.cache = small, .rows = 2, .query_len = 9, .kinds = {K::kSlots, K::kWindow}, .positions = PositionRule::kClamp, .keys_rotated = false});
  add({.cache = small, .query_len = 20, .kinds = {K::kWindow}, .keys_rotated = false});
  return cases;
}

std::string NameOf(const SetsCase& c) {
  static const char* kinds[] = {"all", "window", "slots", "pages", "vertical-slash"};
  static const char* visible[] = {"", " bidirectional", " tree", " segments", " every"};
  static const char* positions[] = {"", " compact", " clamp"};
  std::string name = Describe(c.cache) + " rows=" + std::to_string(c.rows) + " T=" + std::to_string(c.query_len);
  for (const SetKind kind : c.kinds) name += std::string(" ") + kinds[static_cast<int>(kind)];
  name += " scope=" + std::to_string(c.scope) + (c.page_size > 0 ? " page=" + std::to_string(c.page_size) : "") +
          (c.query_block > 0 ? " block=" + std::to_string(c.query_block) : "");
  name += visible[static_cast<int>(c.visible)];
  name += positions[static_cast<int>(c.positions)];
  return name + (c.keys_rotated ? "" : " pre") + (c.old_only ? " old" : "") + (c.bias > 0 ? " bias" + std::to_string(c.bias) : "");
}

/// A rotary table of `rows` positions, scaled as by an attention factor.
std::vector<float> RotaryTable(int32_t rows, int32_t dims) {
  std::vector<float> table;
  for (int32_t p = 0; p < rows; p++) {
    for (int part = 0; part < 2; part++) {
      for (int32_t i = 0; i < dims / 2; i++) {
        const double angle = p * std::pow(10000.0, -2.0 * i / dims);
        table.push_back(static_cast<float>(1.1 * (part == 0 ? std::cos(angle) : std::sin(angle))));
      }
    }
  }
  return table;
}

struct Run {
  Elements q;
  Elements out;
  Guarded<float> out32;
  Guarded<float> lse;
  Guarded<uint8_t> seen;
  std::vector<int64_t> counts;
  std::vector<std::unique_ptr<Cache>> owned;
  std::vector<const Cache*> caches;
  std::vector<DrawnLists> lists;
  std::vector<KeySet> sets;
  DrawnLists queries;
  std::vector<int32_t> heads;
  std::vector<int32_t> relation;
  std::vector<float> bias;
  std::vector<float> table;
  AttendSetsParams params{};

  static size_t Tokens(const SetsCase& c) { return size_t(c.rows) * c.query_len; }

  Run(const SetsCase& c, const Context& context, uint64_t seed)
      : q(Tokens(c) * c.cache.num_query_heads * c.cache.head_dim, context.act()),
        out(Tokens(c) * c.cache.num_query_heads * c.cache.head_dim_v, context.act()),
        out32(c.out_f32 ? Tokens(c) * c.cache.num_query_heads * c.cache.head_dim_v : 0),
        lse(Tokens(c) * c.cache.num_query_heads),
        seen(size_t(c.rows) * c.cache.num_kv_heads * c.cache.slots),
        counts(size_t(c.rows) * c.cache.num_kv_heads),
        lists(2 * c.kinds.size()) {
    q.FillNoise(seed, 999999);
    int32_t shortest = c.cache.slots;
    for (int32_t r = 0; r < c.rows; r++) {
      CacheCase mine = c.cache;
      mine.slots -= r * (c.cache.slots > 200 ? 13 : 0);
      owned.push_back(MakeCache(mine, context.act(), seed + r));
      caches.push_back(owned.back().get());
      shortest = std::min(shortest, mine.slots - (c.cache.num_kv_heads - 1) * c.cache.ragged);
    }
    const int32_t per_row = c.scope == 0 ? 1 : c.scope == 1 ? c.cache.num_kv_heads : c.cache.num_query_heads;
    for (size_t i = 0; i < c.kinds.size(); i++) {
      KeySet set{.kind = c.kinds[i], .with_new = c.with_new, .sink = 3, .recent = 20};
      const bool is_pages = set.kind == SetKind::kPages;
      if (is_pages) set.page_size = c.page_size;
      if (is_pages) set.query_block = c.query_block;
      const int32_t blocks = set.query_block == 0 ? 1 : (c.query_len + set.query_block - 1) / set.query_block;
      const int32_t most = is_pages ? (shortest + c.page_size - 1) / c.page_size : shortest;
      if (set.kind >= SetKind::kSlots) {
        lists[2 * i].Draw(seed + i, c.rows, per_row, blocks, most, set.kind == SetKind::kVerticalSlash ? 0.05 : 0.35);
        set.lists = lists[2 * i].lists;
      }
      if (set.kind == SetKind::kVerticalSlash) {
        lists[2 * i + 1].Draw(seed + 50 + i, c.rows, per_row, 1, shortest, 0.1);
        set.diagonals = lists[2 * i + 1].lists;
      }
      sets.push_back(set);
    }
    if (c.some_queries) queries.Draw(seed + 9, c.rows, per_row, 1, c.query_len, 0.3);
    if (c.some_heads) heads = {0, 2, c.cache.num_query_heads - 1};
    if (c.visible == Visible::kTree) {
      for (size_t i = 0; i < Tokens(c); i++) {
        const auto t = static_cast<int32_t>(i % c.query_len);
        relation.push_back(t == 0 ? -1 : static_cast<int32_t>(Uniform(seed, 3, i) * (t + 1)) - 1);
      }
    }
    if (c.visible == Visible::kSegments) {
      for (int32_t p = 0; p < 3 * c.cache.slots - 200; p++) relation.push_back(p < 30 ? -1 : p / 400);
    }
    const bool by_entry = c.bias == 2;
    const int64_t width = by_entry ? sets[0].lists.max_len : c.cache.slots;
    const int32_t bias_heads = by_entry ? per_row : c.cache.num_query_heads;
    if (c.bias > 0) {
      for (int64_t i = 0; i < c.rows * bias_heads * width; i++) bias.push_back(Noise(seed, 8, i));
    }
    table = RotaryTable(3 * c.cache.slots + 60, c.cache.head_dim);
    params = {.caches = caches.data(),
              .rows = c.rows,
              .layer = 0,
              .num_query_heads = c.cache.num_query_heads,
              .query_len = c.query_len,
              .q = q.data(),
              .softmax_scale = 0.3f,
              .soft_cap = c.soft_cap,
              .sliding_window = c.sliding_window,
              .sets = sets.data(),
              .num_sets = static_cast<int32_t>(sets.size()),
              .heads = heads.empty() ? nullptr : heads.data(),
              .num_heads = static_cast<int32_t>(heads.size()),
              .queries = queries.lists,
              .visible = c.visible,
              .parents = relation.data(),
              .segments = relation.data(),
              .num_segments = static_cast<int32_t>(relation.size()),
              .old_only = c.old_only,
              .bias = bias.empty() ? nullptr : bias.data(),
              .bias_heads = bias_heads,
              .bias_width = width,
              .bias_by_entry = by_entry,
              .positions = c.positions,
              .clamp = 60,
              .cos_sin = table.data(),
              .rope_dims = c.cache.head_dim,
              .max_positions = 3 * c.cache.slots + 60,
              .keys_rotated = c.keys_rotated,
              .out = c.out_f32 ? static_cast<void*>(out32.data()) : out.data(),
              .out_f32 = c.out_f32,
              .lse = lse.data(),
              .counts = counts.data(),
              .seen = seen.data(),
              .seen_width = c.cache.slots};
  }

  double ErrorAgainst(const std::vector<double>& expected) const {
    return params.out_f32 ? RelativeRms(out32.data(), expected.data(), expected.size()) : out.ErrorAgainst(expected);
  }
  double Differences(Run& other) {
    return DifferentBytes(out.data(), other.out.data(), params.out_f32 ? 0 : out.bytes()) +
           DifferentBytes(out32.data(), other.out32.data(), out32.size() * 4) +
           DifferentBytes(lse.data(), other.lse.data(), lse.size() * 4);
  }
};

void AttendSetsParity(Report& report) {
  constexpr uint64_t seed = 17;
  for (const SetsCase& c : Cases()) {
    std::unique_ptr<Run> first;
    for (const Context& context : AllContexts()) {
      Run run(c, context, seed);
      int64_t pairs = 0;
      const Status status = AttendSets(context, run.params, &pairs);
      Run expected(c, context, seed);
      std::vector<double> out(Run::Tokens(c) * c.cache.num_query_heads * c.cache.head_dim_v);
      std::vector<double> lse(Run::Tokens(c) * c.cache.num_query_heads);
      int64_t expected_pairs = 0;
      AttendSetsRef(expected.params, out.data(), lse.data(), &expected_pairs);
      const bool bf16 = context.has_bf16();
      const bool turns = c.positions != PositionRule::kKeep || !c.keys_rotated;
      const bool intact = status.ok() && run.out.intact() && run.out32.intact() && run.lse.intact() && run.seen.intact();
      const Case id{"attend_sets", context.isa, NameOf(c) + NumericsOf(context), seed};
      report.Check(id, run.ErrorAgainst(out), bf16 ? (turns ? 1.2e-2 : 6e-3) : (turns ? 1e-5 : 2e-6), intact);
      report.Check({id.op, id.isa, id.params + " lse", seed}, LargestError(run.lse.data(), lse.data(), lse.size()),
                   bf16 ? (turns ? 2e-2 : c.cache.bits > 0 ? 2e-3 : 3e-4) : (turns ? 1e-4 : 1e-5), intact);
      const double reads = std::abs(static_cast<double>(pairs - expected_pairs)) +
                           DifferentBytes(run.seen.data(), expected.seen.data(), run.seen.size());
      report.Check({id.op, id.isa, id.params + " reads", seed}, reads, 0, intact);
      if (bf16) continue;
      if (first == nullptr) {
        first = std::make_unique<Run>(c, context, seed);
        (void)AttendSets(context, first->params, nullptr);
      }
      report.Check({id.op, id.isa, id.params + " same bits", seed}, run.Differences(*first), 0);
    }
  }
}

/// All blocks give the bits of dense attention; threads change nothing; slots that are not listed are never read.
void AttendSetsInvariance(Report& report) {
  constexpr uint64_t seed = 6;
  const int threads = Pool::Instance().threads();
  for (const Context& context : AllContexts()) {
    if (context.isa == Isa::kScalar) continue;
    for (const int32_t block : {16, 64, 100}) {
      const SetsCase c{.cache = {9, 3, 64, 64, 650}, .query_len = 300, .kinds = {SetKind::kPages}, .page_size = block, .query_block = block};
      Run blocks(c, context, seed);
      DrawnLists& all = blocks.lists[0];
      all.lens.assign(all.lens.size(), all.lists.max_len);
      for (size_t i = 0; i < all.values.size(); i++) all.values[i] = static_cast<int32_t>(i % all.lists.max_len);
      Pool::Instance().SetThreads(2);
      int64_t pairs = 0;
      (void)AttendSets(context, blocks.params, &pairs);
      Run dense(c, context, seed);
      (void)AttendPrefill(context, {.cache = dense.caches[0], .layer = 0, .num_query_heads = 9, .query_len = 300, .q = dense.q.data(),
                                    .softmax_scale = 0.3f, .soft_cap = 0, .sliding_window = 0, .windows = nullptr,
                                    .out = dense.out.data(), .lse = dense.lse.data()});
      const std::string name = "all blocks of " + std::to_string(block) + NumericsOf(context);
      report.Check({"attend_sets", context.isa, name, seed}, blocks.Differences(dense), 0);
      report.Check({"attend_sets", context.isa, name + " pairs", seed}, std::abs(pairs - 9.0 * (300 * 350 + 300 * 301 / 2)), 0);
    }
    const SetsCase mixed{.cache = {9, 3, 64, 64, 700}, .query_len = 90, .kinds = {SetKind::kVerticalSlash}, .scope = 2};
    Run two(mixed, context, seed);
    (void)AttendSets(context, two.params, nullptr);
    Pool::Instance().SetThreads(1);
    Run one(mixed, context, seed);
    (void)AttendSets(context, one.params, nullptr);
    report.Check({"attend_sets", context.isa, "1 and 2 threads" + NumericsOf(context), seed}, two.Differences(one), 0);
    // NaN wherever no query of a KV head looks.
    const SetsCase shared{.cache = {9, 3, 64, 64, 700}, .query_len = 70, .kinds = {SetKind::kPages}, .page_size = 16, .query_block = 35};
    Run clean(shared, context, seed);
    (void)AttendSets(context, clean.params, nullptr);
    Run poisoned(shared, context, seed);
    const std::vector<float> nan(64, NAN);
    for (int32_t h = 0; h < 3; h++) {
      for (int32_t s = 0; s < 700; s++) {
        const HeadCache& head = poisoned.caches[0]->head(0, h);
        for (int what = 0; what < 2 && clean.seen[h * 700 + s] == 0; what++) WriteRow(*head.pages[s / kPageSize], what, s % kPageSize, nan.data());
      }
    }
    (void)AttendSets(context, poisoned.params, nullptr);
    report.Check({"attend_sets", context.isa, "NaN in blocks that are not listed" + NumericsOf(context), seed}, clean.Differences(poisoned), 0);
  }
  Pool::Instance().SetThreads(threads);
}

}  // namespace

WINNOW_PARITY(attend_sets, AttendSetsParity);
WINNOW_PARITY(attend_sets_invariance, AttendSetsInvariance);

}  // namespace winnow::parity
