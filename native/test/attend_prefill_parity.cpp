#include "../kernels/attend_prefill.h"
#include "cache_case.h"

namespace winnow::parity {
namespace {

struct PrefillCase {
  CacheCase cache;
  int32_t query_len;
  float soft_cap = 0;
  int32_t sliding_window = 0;
  /// Sink and recent slots; heads with an odd index see everything.
  int32_t sink = -1;
  int32_t recent = -1;
};

const PrefillCase kCases[] = {
    {{1, 1, 8, 8, 1}, 1},
    {{4, 1, 64, 64, 3}, 3},
    {{3, 1, 64, 64, 17}, 15},
    {{9, 3, 64, 64, 64}, 64},
    {{9, 3, 64, 64, 577}, 255},
    {{7, 1, 80, 72, 255}, 100},
    {{8, 1, 256, 256, 130}, 17},
    {{8, 2, 40, 24, 300, 0, true}, 33},
    {{4, 1, 128, 128, 1000}, 16},
    {{6, 2, 64, 64, 700, 0, false, 4}, 60},
    {{6, 2, 64, 64, 200, 40, true, 8}, 40, 5.0f},
    {{9, 3, 64, 64, 600}, 90, 0, 0, 4, 64},
    {{9, 3, 64, 64, 1100}, 30, 0, 0, 70, 0},
    {{3, 1, 64, 64, 700}, 200, 0, 300},
    {{4, 2, 16, 16, 150, 10, true}, 60, 2.0f, 90, 3, 17},
};

std::string NameOf(const PrefillCase& c) {
  return Describe(c.cache) + " T=" + std::to_string(c.query_len) + (c.soft_cap > 0 ? " cap" : "") +
         (c.sliding_window > 0 ? " sliding=" + std::to_string(c.sliding_window) : "") +
         (c.sink >= 0 ? " window=" + std::to_string(c.sink) + "+" + std::to_string(c.recent) : "");
}

/// One run of a case on one context; the queries begin at `skip` of the case's and are `count`.
struct Run {
  Elements q;
  Elements out;
  Guarded<float> lse;
  std::vector<int32_t> windows;
  std::unique_ptr<Cache> cache;
  AttendPrefillParams params{};

  Run(const PrefillCase& c, const Context& context, uint64_t seed)
      : q(size_t(c.query_len) * c.cache.num_query_heads * c.cache.head_dim, context.act()),
        out(size_t(c.query_len) * c.cache.num_query_heads * c.cache.head_dim_v, context.act()),
        lse(size_t(c.query_len) * c.cache.num_query_heads),
        cache(MakeCache(c.cache, context.act(), seed)) {
    q.FillNoise(seed, 999999);
    for (int32_t h = 0; h < c.cache.num_query_heads; h++) {
      windows.push_back(h % 2 == 0 ? c.sink : -1);
      windows.push_back(c.recent);
    }
    params = {.cache = cache.get(),
              .layer = 0,
              .num_query_heads = c.cache.num_query_heads,
              .query_len = c.query_len,
              .q = q.data(),
              .softmax_scale = 0.3f,
              .soft_cap = c.soft_cap,
              .sliding_window = c.sliding_window,
              .windows = c.sink >= 0 ? windows.data() : nullptr,
              .out = out.data(),
              .lse = lse.data()};
  }
};

void AttendPrefillParity(Report& report) {
  constexpr uint64_t seed = 11;
  for (const PrefillCase& c : kCases) {
    std::unique_ptr<Run> first;
    for (const Context& context : AllContexts()) {
      Run run(c, context, seed);
      const Status status = AttendPrefill(context, run.params);
      std::vector<double> out(size_t(c.query_len) * c.cache.num_query_heads * c.cache.head_dim_v);
      std::vector<double> lse(size_t(c.query_len) * c.cache.num_query_heads);
      AttendPrefillRef(run.params, out.data(), lse.data());
      const bool bf16 = context.has_bf16();
      const bool intact = status.ok() && run.out.intact() && run.lse.intact();
      const Case id{"attend_prefill", context.isa, NameOf(c) + NumericsOf(context), seed};
      report.Check(id, run.out.ErrorAgainst(out), bf16 ? 6e-3 : 2e-6, intact);
      // Quantised values are rounded to bf16 once more than the reference does.
      const double lse_bound = !bf16 ? 1e-5 : c.cache.bits > 0 ? 2e-3 : 2e-4;
      report.Check({id.op, id.isa, id.params + " lse", seed}, LargestError(run.lse.data(), lse.data(), lse.size()),
                   lse_bound, intact);
      if (bf16) continue;
      if (first == nullptr) {
        first = std::make_unique<Run>(c, context, seed);
        (void)AttendPrefill(context, first->params);
      }
      const double different = DifferentBytes(run.out.data(), first->out.data(), run.out.bytes()) +
                               DifferentBytes(run.lse.data(), first->lse.data(), run.lse.size() * 4);
      report.Check({id.op, id.isa, id.params + " same bits", seed}, different, 0);
    }
  }
}

/// Any thread count and any split of the queries into chunks gives the same bits, in both numerics.
void AttendPrefillInvariance(Report& report) {
  const PrefillCase c{{9, 3, 64, 64, 650}, 300};
  const int threads = Pool::Instance().threads();
  for (const Context& context : AllContexts()) {
    if (context.isa == Isa::kScalar) continue;
    Run whole(c, context, 5);
    Pool::Instance().SetThreads(1);
    (void)AttendPrefill(context, whole.params);
    Run again(c, context, 5);
    Pool::Instance().SetThreads(2);
    (void)AttendPrefill(context, again.params);
    report.Check({"attend_prefill", context.isa, "1 and 2 threads" + NumericsOf(context), 5},
                 DifferentBytes(whole.out.data(), again.out.data(), whole.out.bytes()), 0);
    // The last 7 queries alone see the same slots.
    PrefillCase tail = c;
    tail.query_len = 7;
    Run last(tail, context, 5);
    const size_t q_bytes = last.q.bytes();
    std::memcpy(last.q.data(), static_cast<uint8_t*>(whole.q.data()) + whole.q.bytes() - q_bytes, q_bytes);
    (void)AttendPrefill(context, last.params);
    report.Check({"attend_prefill", context.isa, "chunks of any size" + NumericsOf(context), 5},
                 DifferentBytes(last.out.data(),
                                static_cast<uint8_t*>(whole.out.data()) + whole.out.bytes() - last.out.bytes(),
                                last.out.bytes()),
                 0);
  }
  Pool::Instance().SetThreads(threads);
}

}  // namespace

WINNOW_PARITY(attend_prefill, AttendPrefillParity);
WINNOW_PARITY(attend_prefill_invariance, AttendPrefillInvariance);

}  // namespace winnow::parity
