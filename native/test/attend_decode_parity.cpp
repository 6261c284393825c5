#include <algorithm>
#include <cmath>

#include "../kernels/attend_decode.h"
#include "../kernels/merge_lse.h"
#include "cache_case.h"

namespace winnow::parity {
namespace {

struct DecodeCase {
  CacheCase cache;
  int32_t rows;
  int32_t query_len;
  Scope scope = Scope::kAll;
  int32_t page_size = 0;
  float soft_cap = 0;
  int32_t sliding_window = 0;
  /// Rows but every fourth are forks of the first one, some slots shorter.
  bool forks = false;
};

const DecodeCase kCases[] = {
    {{1, 1, 8, 8, 1}, 1, 1},
    {{3, 1, 64, 64, 15}, 2, 1},
    {{9, 3, 64, 64, 1000, 100}, 2, 1},
    {{7, 1, 128, 128, 600}, 1, 3},
    {{8, 2, 256, 248, 70}, 2, 2},
    {{9, 3, 64, 64, 700, 30, true}, 2, 1, Scope::kRow},
    {{9, 3, 64, 64, 700, 30}, 2, 1, Scope::kKvHead},
    {{9, 3, 64, 64, 257, 3, true, 4}, 2, 1, Scope::kQueryHead},
    {{4, 1, 64, 64, 900, 0, false, 2}, 2, 1, Scope::kAll},
    {{9, 3, 64, 64, 1300}, 1, 1, Scope::kKvHead, 16},
    {{6, 2, 40, 24, 333, 5}, 2, 4, Scope::kQueryHead, 24},
    {{9, 3, 64, 64, 640}, 1, 40, Scope::kKvHead},
    {{9, 3, 64, 64, 300}, 2, 70},
    {{4, 2, 64, 64, 400, 20, true}, 2, 1, Scope::kKvHead, 0, 3.0f, 600},
    {{9, 3, 64, 64, 1300, 70}, 6, 1, Scope::kAll, 0, 0, 0, true},
    {{3, 1, 64, 64, 1030, 0, true}, 21, 1, Scope::kAll, 0, 0, 0, true},
    {{4, 2, 128, 128, 1100, 30}, 7, 3, Scope::kAll, 0, 2.0f, 900, true},
    {{6, 2, 64, 40, 1200, 5, true, 4}, 3, 2, Scope::kAll, 0, 0, 0, true},
};

std::string NameOf(const DecodeCase& c) {
  return Describe(c.cache) + " rows=" + std::to_string(c.rows) + " T=" + std::to_string(c.query_len) + " scope=" +
         std::to_string(static_cast<int>(c.scope)) + (c.page_size > 0 ? " page=" + std::to_string(c.page_size) : "") +
         (c.soft_cap > 0 ? " cap" : "") + (c.sliding_window > 0 ? " sliding" : "") + (c.forks ? " forks" : "");
}

struct Run {
  Elements q;
  Elements out;
  Guarded<float> lse;
  Guarded<float> probs;
  std::vector<std::unique_ptr<Cache>> owned;
  std::vector<const Cache*> caches;
  std::vector<int32_t> indices;
  std::vector<int32_t> lens;
  AttendDecodeParams params{};

  Run(const DecodeCase& c, const Context& context, uint64_t seed)
      : q(Tokens(c) * c.cache.num_query_heads * c.cache.head_dim, context.act()),
        out(Tokens(c) * c.cache.num_query_heads * c.cache.head_dim_v, context.act()),
        lse(Tokens(c) * c.cache.num_query_heads),
        probs(c.query_len == 1 ? size_t(c.rows) * c.cache.num_query_heads * c.cache.slots : 0) {
    q.FillNoise(seed, 999999);
    for (int32_t r = 0; r < c.rows; r++) {
      CacheCase mine = c.cache;
      const int32_t fewer = r * (c.cache.slots > 200 ? 13 : 0);
      mine.slots -= fewer;
      const bool is_fork = c.forks && r % 4 != 0;
      owned.push_back(is_fork ? owned[0]->Fork() : MakeCache(mine, context.act(), seed + r));
      if (is_fork) (void)owned.back()->DropLast(fewer);
      caches.push_back(owned.back().get());
    }
    MakeLists(c, seed);
    params = {.caches = caches.data(),
              .rows = c.rows,
              .layer = 0,
              .num_query_heads = c.cache.num_query_heads,
              .query_len = c.query_len,
              .q = q.data(),
              .softmax_scale = 0.3f,
              .soft_cap = c.soft_cap,
              .sliding_window = c.sliding_window,
              .scope = c.scope,
              .indices = indices.data(),
              .lens = lens.data(),
              .max_len = c.cache.slots,
              .page_size = c.page_size,
              .out = out.data(),
              .lse = lse.data(),
              .probs = c.query_len == 1 ? probs.data() : nullptr,
              .max_slots = c.cache.slots};
  }

  static size_t Tokens(const DecodeCase& c) { return size_t(c.rows) * c.query_len; }

  /// Every third entry or so; the first list reads everything, the second nothing.
  void MakeLists(const DecodeCase& c, uint64_t seed) {
    const int32_t lists = c.scope == Scope::kRow       ? 1
                          : c.scope == Scope::kKvHead  ? c.cache.num_kv_heads
                          : c.scope == Scope::kQueryHead ? c.cache.num_query_heads
                                                       : 0;
    for (int32_t r = 0; r < c.rows; r++) {
      for (int32_t s = 0; s < lists; s++) {
        int32_t shortest = INT32_MAX;
        for (int32_t h = 0; h < c.cache.num_kv_heads; h++) shortest = std::min(shortest, caches[r]->head(0, h).len);
        const int32_t most = c.page_size == 0 ? shortest : (shortest + c.page_size - 1) / c.page_size;
        int32_t len = 0;
        indices.resize(indices.size() + c.cache.slots, -1);
        int32_t* list = indices.data() + indices.size() - c.cache.slots;
        for (int32_t i = 0; i < most; i++) {
          if (Uniform(seed, 31 + s, i) < 0.35) list[len++] = i;
        }
        lens.push_back(s == 0 && r == 0 ? -1 : s == 1 ? 0 : len);
      }
    }
  }
};

void AttendDecodeParity(Report& report) {
  constexpr uint64_t seed = 21;
  for (const DecodeCase& c : kCases) {
    std::unique_ptr<Run> first;
    for (const Context& context : AllContexts()) {
      Run run(c, context, seed);
      const Status status = AttendDecode(context, run.params);
      std::vector<double> out(Run::Tokens(c) * c.cache.num_query_heads * c.cache.head_dim_v);
      std::vector<double> lse(Run::Tokens(c) * c.cache.num_query_heads);
      std::vector<double> probs(run.probs.size(), -INFINITY);
      AttendDecodeRef(run.params, out.data(), lse.data(), probs.empty() ? nullptr : probs.data());
      const bool bf16 = context.has_bf16();
      const bool intact = status.ok() && run.out.intact() && run.lse.intact() && run.probs.intact();
      const Case id{"attend_decode", context.isa, NameOf(c) + NumericsOf(context), seed};
      report.Check(id, run.out.ErrorAgainst(out), bf16 ? 6e-3 : 2e-6, intact);
      // Quantised values are rounded to bf16 once more than the reference does.
      const double extra = c.cache.bits > 0 ? 10 : 1;
      report.Check({id.op, id.isa, id.params + " lse", seed}, LargestError(run.lse.data(), lse.data(), lse.size()),
                   bf16 ? 2e-4 * extra : 1e-5, intact);
      report.Check({id.op, id.isa, id.params + " probs", seed}, LargestError(run.probs.data(), probs.data(), probs.size()),
                   bf16 ? 1e-4 * extra : 1e-6, intact);
      if (bf16) continue;
      if (first == nullptr) {
        first = std::make_unique<Run>(c, context, seed);
        (void)AttendDecode(context, first->params);
      }
      const double different = DifferentBytes(run.out.data(), first->out.data(), run.out.bytes()) +
                               DifferentBytes(run.lse.data(), first->lse.data(), run.lse.size() * 4) +
                               DifferentBytes(run.probs.data(), first->probs.data(), run.probs.size() * 4);
      report.Check({id.op, id.isa, id.params + " same bits", seed}, different, 0);
    }
  }
}

/// Rows, threads, T and a list of every slot change no bit of a row; slots that are not listed are never read.
void AttendDecodeInvariance(Report& report) {
  constexpr uint64_t seed = 3;
  const int threads = Pool::Instance().threads();
  for (const Context& context : AllContexts()) {
    if (context.isa == Isa::kScalar) continue;
    const std::string name = NumericsOf(context);
    const DecodeCase many{{9, 3, 64, 64, 900, 40}, 3, 1};
    Run together(many, context, seed);
    Pool::Instance().SetThreads(2);
    (void)AttendDecode(context, together.params);
    DecodeCase one = many;
    one.rows = 1;
    Run alone(one, context, seed);
    Pool::Instance().SetThreads(1);
    (void)AttendDecode(context, alone.params);
    report.Check({"attend_decode", context.isa, "other rows and threads" + name, seed},
                 DifferentBytes(together.out.data(), alone.out.data(), alone.out.bytes()), 0);

    // Rows that share pages are computed together.
    DecodeCase shared{{9, 3, 64, 64, 1300, 40}, 6, 1};
    shared.forks = true;
    Run forks(shared, context, seed);
    (void)AttendDecode(context, forks.params);
    shared.rows = 1;
    for (int32_t r = 0; r < 6; r++) {
      Run single(shared, context, seed);
      const size_t bytes = single.out.bytes();
      const Cache* cache = forks.caches[r];
      std::memcpy(single.q.data(), static_cast<uint8_t*>(forks.q.data()) + r * single.q.bytes(), single.q.bytes());
      single.params.caches = &cache;
      (void)AttendDecode(context, single.params);
      report.Check({"attend_decode", context.isa, "shared pages, row " + std::to_string(r) + name, seed},
                   DifferentBytes(static_cast<uint8_t*>(forks.out.data()) + r * bytes, single.out.data(), bytes), 0);
    }

    DecodeCase listed = one;
    listed.scope = Scope::kKvHead;
    Run all(listed, context, seed);
    for (int32_t h = 0; h < 3; h++) {
      all.lens[h] = all.caches[0]->head(0, h).len;
      for (int32_t i = 0; i < all.lens[h]; i++) all.indices[h * 900 + i] = i;
    }
    (void)AttendDecode(context, all.params);
    report.Check({"attend_decode", context.isa, "a list of all slots" + name, seed},
                 DifferentBytes(all.out.data(), alone.out.data(), alone.out.bytes()), 0);

    // Five tokens at once see what each sees alone: the last of them is the single query above.
    DecodeCase five = one;
    five.query_len = 5;
    Run steps(five, context, seed);
    const size_t q_bytes = alone.q.bytes();
    std::memcpy(static_cast<uint8_t*>(steps.q.data()) + 4 * q_bytes, alone.q.data(), q_bytes);
    (void)AttendDecode(context, steps.params);
    report.Check({"attend_decode", context.isa, "T = 5" + name, seed},
                 DifferentBytes(static_cast<uint8_t*>(steps.out.data()) + 4 * alone.out.bytes(), alone.out.data(),
                                alone.out.bytes()),
                 0);

    Run clean(listed, context, seed);
    Run poisoned(listed, context, seed);
    const std::vector<float> nan(64, NAN);
    for (int32_t h = 0; h < 3; h++) {
      clean.lens[h] = poisoned.lens[h] = 100;
      const HeadCache& head = poisoned.caches[0]->head(0, h);
      for (int32_t i = 0; i < 100; i++) clean.indices[h * 900 + i] = poisoned.indices[h * 900 + i] = 2 * i + h;
      for (int32_t s = 0; s < head.len - 1; s++) {
        const bool is_listed = s >= h && s < 200 + h && (s - h) % 2 == 0;
        for (int what = 0; what < 2 && !is_listed; what++) WriteRow(*head.pages[s / kPageSize], what, s % kPageSize, nan.data());
      }
    }
    (void)AttendDecode(context, clean.params);
    (void)AttendDecode(context, poisoned.params);
    report.Check({"attend_decode", context.isa, "NaN in slots that are not listed" + name, seed},
                 DifferentBytes(clean.out.data(), poisoned.out.data(), clean.out.bytes()) +
                     DifferentBytes(clean.probs.data(), poisoned.probs.data(), clean.probs.size() * 4),
                 0);
  }
  Pool::Instance().SetThreads(threads);
}

void MergeLseParity(Report& report) {
  for (const Isa isa : AvailableIsas()) {
    for (const int width : {1, 15, 16, 17, 64, 200}) {
      for (const int parts : {1, 2, 7}) {
        const int rows = 37;
        Guarded<float> outs(size_t(parts) * rows * width), lses(size_t(parts) * rows), out(size_t(rows) * width), lse(rows);
        Fill(outs, 4, width);
        Fill(lses, 5, width, 30);
        for (int p = 0; p < parts; p++) lses[p * rows + 3] = -INFINITY;
        if (parts > 1) lses[rows + 8] = -INFINITY;
        const MergeLseParams params{outs.data(), lses.data(), parts, rows, width, out.data(), lse.data()};
        const Status status = MergeLse({isa, Numerics::kReference}, params);
        std::vector<double> expected(size_t(rows) * width), expected_lse(rows);
        MergeLseRef(params, expected.data(), expected_lse.data());
        const Case id{"merge_lse", isa, "P=" + std::to_string(parts) + " d=" + std::to_string(width), 4};
        report.Check(id, RelativeRms(out.data(), expected.data(), expected.size()), 1e-6, status.ok() && out.intact());
        report.Check({id.op, isa, id.params + " lse", 4}, LargestError(lse.data(), expected_lse.data(), rows), 5e-6,
                     lse.intact());
      }
    }
  }
}

}  // namespace

WINNOW_PARITY(attend_decode, AttendDecodeParity);
WINNOW_PARITY(attend_decode_invariance, AttendDecodeInvariance);
WINNOW_PARITY(merge_lse, MergeLseParity);

}  // namespace winnow::parity
