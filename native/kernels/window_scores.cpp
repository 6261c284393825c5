#include "window_scores.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "attend_tile.h"
#include "pool.h"
#include "soft_cap.h"

namespace winnow {
namespace {

/// From this many queries on, each query head is a task of its own although it packs its group's keys again.
constexpr int32_t kOwnPackWindow = 8;

Status CheckWindow(const Context& context, const WindowScoresParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  if (p.num_query_heads < 1 || p.num_query_heads % shape.num_kv_heads != 0) {
    return Status::Shape("windowScores.q",
                         "query heads in multiples of numKvHeads (" + std::to_string(shape.num_kv_heads) + ")",
                         std::to_string(p.num_query_heads));
  }
  if (p.pool_kind != PoolKind::kNone && (p.pool_size < 1 || p.pool_size % 2 == 0)) {
    return Status::Shape("windowScores.poolSize", "an odd number of slots", std::to_string(p.pool_size));
  }
  for (int32_t r = 0; r < p.rows; r++) {
    if (p.caches[r]->layout().element != context.act()) {
      return Status::Shape("windowScores.caches", std::string("caches of ") + NameOf(context.act()),
                           NameOf(p.caches[r]->layout().element));
    }
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const int32_t len = p.caches[r]->head(p.layer, h).len;
      if (p.window < 1 || len < p.window) {
        return Status::Shape("windowScores.q",
                             "a window of 1 to " + std::to_string(len) + " queries (row " + std::to_string(r) +
                                 ", KV head " + std::to_string(h) + ")",
                             std::to_string(p.window));
      }
    }
  }
  return Status();
}

/// Folds probability row number `seen` (from 1) of a head into its running score (and, for the variance, its mean).
void Fold(WindowReduce reduce, const float* p, int64_t count, int32_t seen, float* score, float* mean) {
  switch (reduce) {
    case WindowReduce::kMean:
    case WindowReduce::kSum:
      for (int64_t s = 0; s < count; s++) score[s] += p[s];
      return;
    case WindowReduce::kMax:
      for (int64_t s = 0; s < count; s++) score[s] = p[s] > score[s] ? p[s] : score[s];
      return;
    case WindowReduce::kVariance: {
      const float share = 1.0f / static_cast<float>(seen);
      for (int64_t s = 0; s < count; s++) {
        const float delta = p[s] - mean[s];
        mean[s] += delta * share;
        score[s] += delta * (p[s] - mean[s]);
      }
    }
  }
}

void PoolSlots(PoolKind kind, int32_t size, const float* in, int64_t count, float* out) {
  const int64_t half = size / 2;
  const float share = 1.0f / static_cast<float>(size);
  for (int64_t s = 0; s < count; s++) {
    const int64_t begin = std::max<int64_t>(0, s - half);
    const int64_t end = std::min(count, s + half + 1);
    float value = kind == PoolKind::kMax ? -INFINITY : 0.0f;
    for (int64_t i = begin; i < end; i++) value = kind == PoolKind::kMax ? std::max(value, in[i]) : value + in[i];
    out[s] = kind == PoolKind::kMax ? value : value * share;
  }
}

struct Window {
  const WindowScoresParams& p;
  Isa isa;
  const AttendKernels& kernels;
  int32_t group;      ///< query heads of a KV head
  float* scores;      ///< [rows][Hq][max_len]
  float* means;       ///< the same for the variance, or null
};

/// Scores of query heads [first, first + count) of one row, which share a KV head. False: out of memory.
bool ScoreHeads(const Window& w, int32_t row, int32_t first, int32_t count) {
  const WindowScoresParams& p = w.p;
  const HeadCache& head = p.caches[row]->head(p.layer, first / w.group);
  const DType element = p.caches[row]->layout().element;
  const int32_t dim = p.caches[row]->geometry(p.layer).head_dim;
  const int64_t bytes = static_cast<int64_t>(SizeOf(element));
  const int32_t panels = (head.len + kPanel - 1) / kPanel;
  const int64_t padded = int64_t{panels} * kPanel;
  auto* keys = static_cast<uint8_t*>(Pool::Scratch(0, static_cast<size_t>(padded) * dim * bytes));
  auto* logits = static_cast<float*>(Pool::Scratch(1, static_cast<size_t>(padded) * (kGroupRows + 1) * sizeof(float)));
  if (keys == nullptr || logits == nullptr) return false;
  float* bias = logits + padded * kGroupRows;
  bool has_bias = false;
  const EntryList list{.head = &head, .kept = head.len};
  for (int32_t panel = 0; panel < panels; panel++) {
    if (!PackPanel(list, w.kernels, 0, panel, keys + int64_t{panel} * kPanel * dim * bytes)) return false;
    const Page& page = *head.pages[panel];
    has_bias = has_bias || page.has_bias;
    for (int32_t s = 0; s < kPanel; s++) bias[panel * kPanel + s] = page.has_bias ? page.bias[s] * w.kernels.log_unit : 0.0f;
  }
  const auto position = [&head](int64_t slot) { return head.pages[slot / kPageSize]->positions[slot % kPageSize]; };
  const float scale = p.soft_cap > 0.0f ? p.softmax_scale : p.softmax_scale * w.kernels.log_unit;
  const int32_t rows = count * p.window;
  for (int32_t at = 0; at < rows; at += kGroupRows) {
    const int32_t together = std::min(kGroupRows, rows - at);
    const void* q[kGroupRows];
    for (int32_t i = 0; i < together; i++) {
      const int64_t token = int64_t{row} * p.window + (at + i) % p.window;
      const int64_t offset = (token * p.num_query_heads + first + (at + i) / p.window) * dim;
      q[i] = static_cast<const uint8_t*>(p.q) + offset * bytes;
    }
    for (int32_t panel = 0; panel < panels; panel++) {
      w.kernels.scores(q, together, dim, keys + int64_t{panel} * kPanel * dim * bytes, scale, logits + panel * kPanel,
                       padded);
    }
    for (int32_t i = 0; i < together; i++) {
      const int32_t j = (at + i) % p.window;
      const int64_t visible = head.len - p.window + j + 1;
      float* x = logits + i * padded;
      if (p.soft_cap > 0.0f) CapLogits(w.isa, p.soft_cap, w.kernels.log_unit, visible, x);
      for (int64_t s = 0; has_bias && s < visible; s++) x[s] += bias[s];
      const int32_t least = p.sliding_window > 0 ? position(visible - 1) - p.sliding_window : INT32_MIN;
      for (int64_t s = 0; p.sliding_window > 0 && s < visible; s++) x[s] = position(s) <= least ? -INFINITY : x[s];
      float m;
      float l;
      w.kernels.softmax_sums(x, visible, &m, &l);
      if (l > 0.0f) {
        w.kernels.probabilities(x, visible, m, 1.0f / l);
      } else {
        std::fill(x, x + visible, 0.0f);
      }
      std::fill(x + visible, x + head.len, 0.0f);
      const int64_t to = (int64_t{row} * p.num_query_heads + first + (at + i) / p.window) * p.max_len;
      Fold(p.reduce, x, head.len, j + 1, w.scores + to, w.means == nullptr ? nullptr : w.means + to);
    }
  }
  return true;
}

/// Divides, pools and marks what lies beyond the head's slots. False: out of memory.
bool FinishHead(const Window& w, int32_t row, int32_t query_head) {
  const WindowScoresParams& p = w.p;
  const int32_t len = p.caches[row]->head(p.layer, query_head / w.group).len;
  float* scores = w.scores + (int64_t{row} * p.num_query_heads + query_head) * p.max_len;
  float factor = 1.0f;
  if (p.reduce == WindowReduce::kMean) factor = 1.0f / static_cast<float>(p.window);
  if (p.reduce == WindowReduce::kVariance && p.window > 1) factor = 1.0f / static_cast<float>(p.window - 1);
  for (int32_t s = 0; s < len; s++) scores[s] *= factor;
  if (p.pool_kind != PoolKind::kNone) {
    auto* pooled = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(len) * sizeof(float)));
    if (pooled == nullptr) return false;
    PoolSlots(p.pool_kind, p.pool_size, scores, len, pooled);
    std::copy(pooled, pooled + len, scores);
  }
  std::fill(scores + len, scores + p.max_len, -INFINITY);
  return true;
}

Status NoMemory() { return Status::Fail(Code::kOutOfMemory, "windowScores", "memory for scratch", "none"); }

}  // namespace

void ReduceGroups(const float* values, int32_t num_query_heads, int32_t num_kv_heads, int64_t count, int64_t stride,
                  GqaReduce gqa, float* out) {
  const int32_t lists = ListsAfter(gqa, num_query_heads, num_kv_heads);
  const int32_t together = num_query_heads / lists;
  const float share = 1.0f / static_cast<float>(together);
  for (int32_t list = 0; list < lists; list++) {
    float* to = out + list * stride;
    for (int32_t h = 0; h < together; h++) {
      const float* from = values + (int64_t{list} * together + h) * stride;
      for (int64_t s = 0; s < count; s++) {
        if (h == 0) to[s] = from[s];
        else to[s] = gqa == GqaReduce::kMax ? std::max(to[s], from[s]) : to[s] + from[s];
      }
    }
    if (gqa != GqaReduce::kMean && gqa != GqaReduce::kAll) continue;
    for (int64_t s = 0; s < count; s++) to[s] *= share;
  }
}

Status WindowScores(const Context& context, const WindowScoresParams& p) {
  if (p.rows == 0) return Status();
  WINNOW_TRY(CheckWindow(context, p));
  const int32_t num_kv_heads = p.caches[0]->geometry(p.layer).num_kv_heads;
  const int64_t floats = int64_t{p.rows} * p.num_query_heads * p.max_len;
  const bool needs_means = p.reduce == WindowReduce::kVariance;
  const AlignedBytes memory = AllocateAligned(std::max<size_t>(64, static_cast<size_t>(floats) * 4 * (needs_means ? 2 : 1)));
  if (memory == nullptr) return NoMemory();
  auto* scores = reinterpret_cast<float*>(memory.get());
  std::fill(scores, scores + floats * (needs_means ? 2 : 1), 0.0f);
  const Window window{p, context.isa, AttendFor(context.isa, context.has_bf16()), p.num_query_heads / num_kv_heads, scores,
                      needs_means ? scores + floats : nullptr};
  const int32_t together = p.window >= kOwnPackWindow ? 1 : window.group;
  const int32_t tasks_per_row = p.num_query_heads / together;
  std::atomic<bool> has_memory{true};
  Pool& pool = Pool::Instance();
  pool.ParallelFor(int64_t{p.rows} * tasks_per_row, [&](int64_t task) {
    const int32_t first = static_cast<int32_t>(task % tasks_per_row) * together;
    const int32_t row = static_cast<int32_t>(task / tasks_per_row);
    if (!ScoreHeads(window, row, first, together)) has_memory = false;
    for (int32_t h = first; has_memory && h < first + together; h++) {
      if (!FinishHead(window, row, h)) has_memory = false;
    }
  });
  if (!has_memory) return NoMemory();
  const int32_t lists = ListsAfter(p.gqa, p.num_query_heads, num_kv_heads);
  pool.ParallelRanges(p.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      ReduceGroups(scores + row * p.num_query_heads * p.max_len, p.num_query_heads, num_kv_heads, p.max_len, p.max_len,
                   p.gqa, p.out + row * lists * p.max_len);
    }
  });
  return Status();
}

}  // namespace winnow
