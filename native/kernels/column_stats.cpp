#include "column_stats.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "exact_log.h"
#include "pool.h"
#include "soft_cap.h"

namespace winnow {
namespace {

constexpr int32_t kRowBlock = 64;

int32_t PositionAt(const HeadCache& head, int32_t slot) { return head.pages[slot / kPageSize]->positions[slot % kPageSize]; }

/// One panel of columns of one query head.
struct Columns {
  const ColumnStatsParams& p;
  const HeadCache& head;
  int32_t first_slot;
  int32_t count;
  float* closed;  ///< planes `stride` apart: closed, open (, closed and open of squares)
  int64_t stride;

  void CloseBlock() const {
    for (int64_t plane = 0; plane < ColumnPlanes(p.reduce); plane += 2) {
      float* total = closed + plane * stride;
      float* open = total + stride;
      for (int32_t c = 0; c < count; c++) {
        total[c] = p.reduce == ColumnReduce::kMax ? std::max(total[c], open[c]) : total[c] + open[c];
        open[c] = 0.0f;
      }
    }
  }

  void Add(const float* weights) const {
    float* open = closed + stride;
    switch (p.reduce) {
      case ColumnReduce::kSum:
      case ColumnReduce::kMean:
        for (int32_t c = 0; c < count; c++) open[c] += weights[c];
        return;
      case ColumnReduce::kMax:
        for (int32_t c = 0; c < count; c++) open[c] = std::max(open[c], weights[c]);
        return;
      case ColumnReduce::kVariance:
        for (int32_t c = 0; c < count; c++) open[c] += weights[c];
        open += 2 * stride;
        for (int32_t c = 0; c < count; c++) open[c] += weights[c] * weights[c];
        return;
      case ColumnReduce::kEntropy:
        for (int32_t c = 0; c < count; c++) open[c] += weights[c] > 0.0f ? -weights[c] * ExactLog(weights[c]) : 0.0f;
    }
  }
};

/// Queries [first, query_len) of one head against one packed panel.
void AddQueries(const Context& context, const Columns& columns, int32_t query_head, const void* panel) {
  const ColumnStatsParams& p = columns.p;
  const LayerGeometry& shape = p.cache->geometry(p.layer);
  const DType element = p.cache->layout().element;
  const AttendKernels& kernels = AttendFor(context.isa, element == DType::kBf16);
  const int64_t bytes = static_cast<int64_t>(SizeOf(element));
  const int32_t first_new = columns.head.len - p.query_len;
  const float unit = kernels.log_unit;
  alignas(64) float logits[kGroupRows * kPanel];
  const int32_t begin = std::max({0, columns.first_slot - first_new, p.first_row - first_new});
  for (int32_t t = begin; t < p.query_len; t += kGroupRows) {
    const int32_t together = std::min(kGroupRows, p.query_len - t);
    const void* q[kGroupRows];
    for (int32_t i = 0; i < together; i++) {
      q[i] = static_cast<const uint8_t*>(p.q) + (int64_t{t + i} * p.num_query_heads + query_head) * shape.head_dim * bytes;
    }
    const float scale = p.soft_cap > 0.0f ? p.softmax_scale : p.softmax_scale * unit;
    kernels.scores(q, together, shape.head_dim, panel, scale, logits, kPanel);
    for (int32_t i = 0; i < together; i++) {
      float* row = logits + i * kPanel;
      const int32_t own = first_new + t + i;
      const int32_t least = p.sliding_window > 0 ? PositionAt(columns.head, own) - p.sliding_window : INT32_MIN;
      if (p.soft_cap > 0.0f) CapLogits(context.isa, p.soft_cap, unit, columns.count, row);
      for (int32_t c = 0; c < columns.count; c++) {
        const int32_t slot = columns.first_slot + c;
        const Page& page = *columns.head.pages[slot / kPageSize];
        if (page.has_bias) row[c] += page.bias[slot % kPageSize] * unit;
        if (slot > own || (p.sliding_window > 0 && page.positions[slot % kPageSize] <= least)) row[c] = -INFINITY;
      }
      kernels.probabilities(row, columns.count, p.lse[int64_t{t + i} * p.num_query_heads + query_head] * unit, 1.0f);
      if (own % kRowBlock == 0) columns.CloseBlock();
      columns.Add(row);
    }
  }
}

}  // namespace

Status ColumnStats(const Context& context, const ColumnStatsParams& p) {
  const LayerGeometry& shape = p.cache->geometry(p.layer);
  if (p.num_query_heads < 1 || p.num_query_heads % shape.num_kv_heads != 0) {
    return Status::Shape("columnStats.q", "query heads in multiples of numKvHeads (" + std::to_string(shape.num_kv_heads) + ")",
                         std::to_string(p.num_query_heads));
  }
  if (p.cache->layout().element != context.act()) {
    return Status::Shape("columnStats.cache", std::string("a cache of ") + NameOf(context.act()),
                         NameOf(p.cache->layout().element));
  }
  int32_t longest = 0;
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    const int32_t len = p.cache->head(p.layer, h).len;
    longest = std::max(longest, len);
    if (len < p.query_len || len > p.width) {
      return Status::Shape("columnStats.state", "room for every slot, and a slot for every query", std::to_string(len));
    }
  }
  const int32_t group = p.num_query_heads / shape.num_kv_heads;
  const int32_t panels = (longest + kPanel - 1) / kPanel;
  const DType element = p.cache->layout().element;
  const AttendKernels& kernels = AttendFor(context.isa, element == DType::kBf16);
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelFor(int64_t{panels} * shape.num_kv_heads, [&](int64_t task) {
    // Early panels are seen by the most queries: they go first.
    const auto panel = static_cast<int32_t>(task / shape.num_kv_heads);
    const auto kv_head = static_cast<int32_t>(task % shape.num_kv_heads);
    const HeadCache& head = p.cache->head(p.layer, kv_head);
    if (panel * kPanel >= head.len) return;
    auto* packed = Pool::Scratch(1, static_cast<size_t>(kPanel) * shape.head_dim * SizeOf(element));
    const EntryList list{.head = &head, .kept = head.len};
    if (packed == nullptr || !PackPanel(list, kernels, 0, panel, packed)) {
      has_memory = false;
      return;
    }
    for (int32_t h = kv_head * group; h < (kv_head + 1) * group; h++) {
      const Columns columns{p, head, panel * kPanel, std::min(kPanel, head.len - panel * kPanel),
                            p.state + int64_t{h} * p.width + panel * kPanel, int64_t{p.num_query_heads} * p.width};
      AddQueries(context, columns, h, packed);
    }
  });
  return has_memory ? Status() : Status::Fail(Code::kOutOfMemory, "columnStats", "memory for scratch", "none");
}

Status FinishColumnStats(const float* state, int32_t num_query_heads, int64_t width, ColumnReduce reduce, int64_t first_row,
                         int64_t rows, float* out) {
  const int64_t plane = int64_t{num_query_heads} * width;
  Pool::Instance().ParallelRanges(num_query_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * width; i < end * width; i++) {
      const int64_t seen = rows - std::max(first_row, i % width);
      const float count = static_cast<float>(std::max<int64_t>(seen, 0));
      const float sum = state[i] + state[plane + i];
      switch (reduce) {
        case ColumnReduce::kSum:
        case ColumnReduce::kEntropy: out[i] = sum; break;
        case ColumnReduce::kMean: out[i] = count > 0.0f ? sum / count : 0.0f; break;
        case ColumnReduce::kMax: out[i] = std::max(state[i], state[plane + i]); break;
        case ColumnReduce::kVariance: {
          const float squares = state[2 * plane + i] + state[3 * plane + i];
          out[i] = count > 1.0f ? std::max(0.0f, (squares - sum * (sum / count)) / (count - 1.0f)) : 0.0f;
        }
      }
    }
  });
  return Status();
}

}  // namespace winnow
