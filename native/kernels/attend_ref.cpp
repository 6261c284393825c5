#include "attend_ref.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "attend_decode.h"
#include "attend_prefill.h"
#include "numerics.h"

namespace winnow {

double ElementAt(const void* values, DType element, int64_t i) {
  return element == DType::kBf16 ? FromBf16(static_cast<const Bf16*>(values)[i]) : static_cast<const float*>(values)[i];
}

void AttendOneRef(const AttendOneParams& p, double* out, double* lse, double* probs) {
  const int32_t n = p.head->len;
  std::vector<double> logits(n, -INFINITY);
  std::vector<float> row(kMaxHeadDim);
  double largest = -INFINITY;
  for (int32_t slot = 0; slot < n; slot++) {
    if (!p.sees(slot)) continue;
    const Page& page = *p.head->pages[slot / kPageSize];
    ReadRows(page, 0, slot % kPageSize, 1, row.data(), kMaxHeadDim);
    double x = 0;
    for (int32_t c = 0; c < p.head_dim; c++) x += ElementAt(p.q, p.element, c) * row[c];
    x *= p.softmax_scale;
    if (p.soft_cap > 0) x = p.soft_cap * std::tanh(x / p.soft_cap);
    logits[slot] = x + page.bias[slot % kPageSize];
    largest = std::max(largest, logits[slot]);
  }
  std::fill(out, out + p.head_dim_v, 0.0);
  double sum = 0;
  for (int32_t slot = 0; slot < n; slot++) {
    if (logits[slot] == -INFINITY) continue;
    const double e = std::exp(logits[slot] - largest);
    sum += e;
    ReadRows(*p.head->pages[slot / kPageSize], 1, slot % kPageSize, 1, row.data(), kMaxHeadDim);
    for (int32_t c = 0; c < p.head_dim_v; c++) out[c] += e * row[c];
  }
  for (int32_t c = 0; c < p.head_dim_v && sum > 0; c++) out[c] /= sum;
  if (lse != nullptr) *lse = sum > 0 ? largest + std::log(sum) : -INFINITY;
  for (int32_t slot = 0; probs != nullptr && slot < n; slot++) {
    probs[slot] = logits[slot] == -INFINITY ? 0.0 : std::exp(logits[slot] - largest) / sum;
  }
}

namespace {

int32_t PositionAt(const HeadCache& head, int32_t slot) {
  return head.pages[slot / kPageSize]->positions[slot % kPageSize];
}

const void* Offset(const void* values, DType element, int64_t i) {
  return static_cast<const uint8_t*>(values) + i * static_cast<int64_t>(SizeOf(element));
}

}  // namespace

void AttendPrefillRef(const AttendPrefillParams& p, double* out, double* lse) {
  const LayerGeometry& shape = p.cache->geometry(p.layer);
  const DType element = p.cache->layout().element;
  for (int32_t t = 0; t < p.query_len; t++) {
    for (int32_t h = 0; h < p.num_query_heads; h++) {
      const HeadCache& head = p.cache->head(p.layer, h / (p.num_query_heads / shape.num_kv_heads));
      const int32_t own = head.len - p.query_len + t;
      const auto sees = [&](int32_t slot) {
        if (slot > own) return false;
        if (p.sliding_window > 0 && PositionAt(head, slot) <= PositionAt(head, own) - p.sliding_window) return false;
        if (p.windows == nullptr || p.windows[h * 2] < 0 || p.windows[h * 2 + 1] < 0) return true;
        return slot < p.windows[h * 2] || slot > own - p.windows[h * 2 + 1];
      };
      const int64_t row = int64_t{t} * p.num_query_heads + h;
      AttendOneRef({&head, element, shape.head_dim, shape.head_dim_v, Offset(p.q, element, row * shape.head_dim),
                    p.softmax_scale, p.soft_cap, sees},
                   out + row * shape.head_dim_v, lse == nullptr ? nullptr : lse + row, nullptr);
    }
  }
}

void AttendDecodeRef(const AttendDecodeParams& p, double* out, double* lse, double* probs) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t group = p.num_query_heads / shape.num_kv_heads;
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t t = 0; t < p.query_len; t++) {
      for (int32_t h = 0; h < p.num_query_heads; h++) {
        const HeadCache& head = p.caches[r]->head(p.layer, h / group);
        const DType element = p.caches[r]->layout().element;
        int64_t list = r;
        if (p.scope == Scope::kKvHead) list = int64_t{r} * shape.num_kv_heads + h / group;
        if (p.scope == Scope::kQueryHead) list = int64_t{r} * p.num_query_heads + h;
        const int32_t len = p.scope == Scope::kAll ? -1 : p.lens[list];
        const int32_t first_new = head.len - p.query_len;
        const auto sees = [&](int32_t slot) {
          const int32_t own = first_new + t;
          if (len == 0 || slot > own) return false;
          if (p.sliding_window > 0 && PositionAt(head, slot) <= PositionAt(head, own) - p.sliding_window) return false;
          if (len < 0 || slot >= first_new) return true;
          const int32_t* begin = p.indices + list * p.max_len;
          return std::find(begin, begin + len, p.page_size == 0 ? slot : slot / p.page_size) != begin + len;
        };
        const int64_t row = (int64_t{r} * p.query_len + t) * p.num_query_heads + h;
        // The caller's probs hold -inf beyond each head's length.
        double* probabilities = probs == nullptr ? nullptr : probs + (int64_t{r} * p.num_query_heads + h) * p.max_slots;
        AttendOneRef({&head, element, shape.head_dim, shape.head_dim_v, Offset(p.q, element, row * shape.head_dim),
                      p.softmax_scale, p.soft_cap, sees},
                     out + row * shape.head_dim_v, lse == nullptr ? nullptr : lse + row, probabilities);
      }
    }
  }
}

}  // namespace winnow
