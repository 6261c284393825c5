#include <algorithm>
#include <cmath>
#include <vector>

#include "attend_ref.h"
#include "attend_sets.h"

namespace winnow {
namespace {

int32_t PositionAt(const HeadCache& head, int32_t slot) {
  return head.pages[slot / kPageSize]->positions[slot % kPageSize];
}

struct Place {
  int32_t row, token, query_head, kv_head, own, first_new;
  const HeadCache* head;
};

bool Names(const AttendSetsParams& p, const Place& at, const Lists& lists, int32_t block, int32_t value, int32_t kv_heads) {
  const int32_t list = lists.per_row == 1 ? 0 : lists.per_row == kv_heads ? at.kv_head : at.query_head;
  const int64_t which = (int64_t{at.row} * lists.per_row + list) * lists.blocks + block;
  if (lists.lens[which] < 0) return true;
  const int32_t* begin = lists.values + which * lists.max_len;
  (void)p;
  return std::find(begin, begin + lists.lens[which], value) != begin + lists.lens[which];
}

bool IsEmpty(const Place& at, const Lists& lists, int32_t block, int32_t kv_heads) {
  const int32_t list = lists.per_row == 1 ? 0 : lists.per_row == kv_heads ? at.kv_head : at.query_head;
  return lists.lens[(int64_t{at.row} * lists.per_row + list) * lists.blocks + block] == 0;
}

bool InSet(const AttendSetsParams& p, const KeySet& set, const Place& at, int32_t slot, int32_t kv_heads) {
  const int32_t block = set.query_block == 0 ? 0 : at.token / set.query_block;
  switch (set.kind) {
    case SetKind::kAll: return true;
    case SetKind::kWindow: return slot < set.sink || (slot > at.own - set.recent && slot <= at.own);
    case SetKind::kSlots:
    case SetKind::kPages:
      if (set.with_new && slot >= at.first_new && !IsEmpty(at, set.lists, block, kv_heads)) return true;
      return Names(p, at, set.lists, block, set.kind == SetKind::kPages ? slot / set.page_size : slot, kv_heads);
    case SetKind::kVerticalSlash:
      return Names(p, at, set.lists, 0, slot, kv_heads) ||
             (slot <= at.own && Names(p, at, set.diagonals, 0, at.own - slot, kv_heads));
  }
  return false;
}

bool MaySee(const AttendSetsParams& p, const Place& at, int32_t slot) {
  if (p.old_only && slot >= at.first_new) return false;
  switch (p.visible) {
    case Visible::kEvery:
    case Visible::kBidirectional: return true;
    case Visible::kCausal: return slot <= at.own;
    case Visible::kTree: {
      if (slot < at.first_new) return true;
      for (int32_t t = at.token; t >= 0; t = p.parents[int64_t{at.row} * p.query_len + t]) {
        if (slot == at.first_new + t) return true;
      }
      return false;
    }
    case Visible::kSegments: {
      const auto segment = [&](int32_t s) {
        const int32_t position = PositionAt(*at.head, s);
        return position < p.num_segments ? p.segments[position] : -1;
      };
      return slot <= at.own && (segment(slot) < 0 || segment(at.own) < 0 || segment(slot) == segment(at.own));
    }
  }
  return false;
}

double BiasAt(const AttendSetsParams& p, const Place& at, int32_t slot, int32_t kv_heads) {
  if (p.bias == nullptr) return 0;
  const int32_t index = p.bias_heads == 1 ? 0 : p.bias_heads == kv_heads ? at.kv_head : at.query_head;
  const float* bias = p.bias + (int64_t{at.row} * p.bias_heads + index) * p.bias_width;
  if (!p.bias_by_entry) return slot < p.bias_width ? bias[slot] : 0;
  const Lists& lists = p.sets[0].lists;
  const int64_t which = int64_t{at.row} * lists.per_row + index;
  for (int32_t i = 0; i < lists.lens[which]; i++) {
    if (lists.values[which * lists.max_len + i] == slot) return bias[i];
  }
  return 0;
}

/// x turned from one position to another, by the angles of the table.
void Turn(const AttendSetsParams& p, std::vector<double>& x, int32_t from, int32_t to) {
  const int32_t half = p.rope_dims / 2;
  for (int32_t i = 0; i < half; i++) {
    const float* target = p.cos_sin + int64_t{to} * p.rope_dims;
    double angle = std::atan2(target[half + i], target[i]);
    double length = std::hypot(target[half + i], target[i]);
    if (from >= 0) {
      const float* source = p.cos_sin + int64_t{from} * p.rope_dims;
      angle -= std::atan2(source[half + i], source[i]);
      length /= std::hypot(source[half + i], source[i]);
    }
    const double a = x[i];
    const double b = x[half + i];
    x[i] = length * (a * std::cos(angle) - b * std::sin(angle));
    x[half + i] = length * (b * std::cos(angle) + a * std::sin(angle));
  }
}

}  // namespace

void AttendSetsRef(const AttendSetsParams& p, double* out, double* lse, int64_t* pairs) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t kv_heads = shape.num_kv_heads;
  const DType element = p.caches[0]->layout().element;
  std::vector<uint8_t> read;
  *pairs = 0;
  if (p.counts != nullptr) std::fill(p.counts, p.counts + p.rows * kv_heads, 0);
  if (p.seen != nullptr) std::fill(p.seen, p.seen + p.rows * kv_heads * p.seen_width, 0);
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t h = 0; h < p.num_query_heads; h++) {
      const int32_t kv = h / (p.num_query_heads / kv_heads);
      const HeadCache& head = p.caches[r]->head(p.layer, kv);
      const int32_t first_new = p.visible == Visible::kEvery ? head.len : head.len - p.query_len;
      for (int32_t t = 0; t < p.query_len; t++) {
        const Place at{r, t, h, kv, first_new + t, first_new, &head};
        const int64_t row = (int64_t{r} * p.query_len + t) * p.num_query_heads + h;
        std::fill(out + row * shape.head_dim_v, out + (row + 1) * shape.head_dim_v, 0.0);
        lse[row] = -INFINITY;
        bool attends = p.heads == nullptr || std::find(p.heads, p.heads + p.num_heads, h) != p.heads + p.num_heads;
        if (p.queries.values != nullptr) attends = attends && Names(p, at, p.queries, 0, t, kv_heads);
        if (!attends) continue;
        std::vector<int32_t> slots;
        for (int32_t s = 0; s < head.len; s++) {
          bool is_named = false;
          for (int32_t i = 0; i < p.num_sets; i++) is_named = is_named || InSet(p, p.sets[i], at, s, kv_heads);
          if (is_named && MaySee(p, at, s)) slots.push_back(s);
        }
        *pairs += static_cast<int64_t>(slots.size());
        for (const int32_t s : slots) {
          if (p.seen != nullptr) p.seen[(int64_t{r} * kv_heads + kv) * p.seen_width + s] = 1;
        }
        const auto old = static_cast<int32_t>(std::lower_bound(slots.begin(), slots.end(), first_new) - slots.begin());
        std::vector<double> logits;
        std::vector<float> cached(kMaxHeadDim);
        for (size_t e = 0; e < slots.size(); e++) {
          const int32_t s = slots[e];
          ReadRows(*head.pages[s / kPageSize], 0, s % kPageSize, 1, cached.data(), kMaxHeadDim);
          std::vector<double> key(cached.begin(), cached.begin() + shape.head_dim);
          std::vector<double> query(shape.head_dim);
          for (int32_t c = 0; c < shape.head_dim; c++) query[c] = ElementAt(p.q, element, row * shape.head_dim + c);
          const int32_t from = p.keys_rotated ? PositionAt(head, s) : -1;
          if (p.positions == PositionRule::kCompact) {
            Turn(p, key, from, static_cast<int32_t>(e));
            Turn(p, query, PositionAt(head, at.own), old + t);
          } else if (p.positions == PositionRule::kClamp && PositionAt(head, at.own) - PositionAt(head, s) > p.clamp) {
            Turn(p, key, from, 0);
            Turn(p, query, PositionAt(head, at.own), p.clamp);
          } else if (!p.keys_rotated) {
            Turn(p, key, -1, PositionAt(head, s));
          }
          double x = 0;
          for (int32_t c = 0; c < shape.head_dim; c++) x += query[c] * key[c];
          x *= p.softmax_scale;
          if (p.soft_cap > 0) x = p.soft_cap * std::tanh(x / p.soft_cap);
          const bool slides = p.sliding_window > 0 && p.visible != Visible::kEvery;
          const bool is_past = slides && PositionAt(head, s) <= PositionAt(head, at.own) - p.sliding_window;
          logits.push_back(is_past ? -INFINITY : x + head.pages[s / kPageSize]->bias[s % kPageSize] + BiasAt(p, at, s, kv_heads));
        }
        double largest = -INFINITY;
        for (const double x : logits) largest = std::max(largest, x);
        if (largest == -INFINITY) continue;
        double sum = 0;
        for (size_t e = 0; e < slots.size(); e++) {
          const double weight = std::exp(logits[e] - largest);
          sum += weight;
          ReadRows(*head.pages[slots[e] / kPageSize], 1, slots[e] % kPageSize, 1, cached.data(), kMaxHeadDim);
          for (int32_t c = 0; c < shape.head_dim_v; c++) out[row * shape.head_dim_v + c] += weight * cached[c];
        }
        for (int32_t c = 0; c < shape.head_dim_v; c++) out[row * shape.head_dim_v + c] /= sum;
        lse[row] = largest + std::log(sum);
      }
    }
  }
}

}  // namespace winnow
