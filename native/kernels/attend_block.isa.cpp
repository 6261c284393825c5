#include "attend_block.h"

#include "attend_element.isa.h"

namespace winnow::WINNOW_ISA {

/// Everything but the element type: E gives packed widths, products and the exponential (see attend_element.isa.h).
template <class E>
struct Attend {
  /// Scores of MR rows against NV vectors of 16 entries.
  template <int MR, int NV>
  static inline __attribute__((always_inline)) void ScoreTile(const typename E::Step* const* q, int32_t steps,
                                                              const typename E::Step* panel, float scale, float* out,
                                                              int64_t stride) {
    typename E::Acc c[MR][NV];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) c[i][j] = E::Zero();
    }
    for (int32_t k = 0; k < steps; k++) {
      typename E::Vec b[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) b[j] = E::LoadVec(panel + k * kPanel + 16 * j);
#pragma GCC unroll 8
      for (int i = 0; i < MR; i++) {
        const typename E::Vec a = E::Broadcast(q[i] + k);
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) c[i][j] = E::Product(a, b[j], c[i][j]);
      }
    }
    const Lanes factor = Set(scale);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) Store(out + i * stride + 16 * j, Mul(E::ToLanes(c[i][j]), factor));
    }
  }

  template <int MR>
  static void ScoreRows(const typename E::Step* const* q, int32_t steps, const typename E::Step* panel, float scale,
                        float* out, int64_t stride) {
    for (int j = 0; j < kPanel; j += 16 * E::kWide) {
      ScoreTile<MR, E::kWide>(q, steps, panel + j, scale, out + j, stride);
    }
  }

  static void Scores(const void* const* q, int32_t rows, int32_t head_dim, const void* panel, float scale, float* out,
                     int64_t stride) {
    const typename E::Step* typed[kGroupRows];
    for (int32_t i = 0; i < rows; i++) typed[i] = static_cast<const typename E::Step*>(q[i]);
    const auto* keys = static_cast<const typename E::Step*>(panel);
    const int32_t steps = head_dim / E::kPerStep;
    switch (rows) {
      case 1: return ScoreRows<1>(typed, steps, keys, scale, out, stride);
      case 2: return ScoreRows<2>(typed, steps, keys, scale, out, stride);
      case 3: return ScoreRows<3>(typed, steps, keys, scale, out, stride);
      case 4: return ScoreRows<4>(typed, steps, keys, scale, out, stride);
      case 5: return ScoreRows<5>(typed, steps, keys, scale, out, stride);
      default: return ScoreRows<6>(typed, steps, keys, scale, out, stride);
    }
  }

  /// o = o * alpha + (p . V) * beta for MR rows and NV vectors of 16 outputs.
  template <int MR, int NV>
  static inline __attribute__((always_inline)) void ValueTile(const typename E::Step* p, int32_t first, int32_t last,
                                                              const typename E::Step* values, int32_t value_stride,
                                                              const float* alpha, const float* beta, float* const* o,
                                                              int32_t at) {
    typename E::Acc c[MR][NV];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) c[i][j] = E::Zero();
    }
    const typename E::Step* v = values + static_cast<int64_t>(first) * value_stride + at;
    for (int32_t k = first; k < last; k++, v += value_stride) {
      typename E::Vec b[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) b[j] = E::LoadVec(v + 16 * j);
#pragma GCC unroll 8
      for (int i = 0; i < MR; i++) {
        const typename E::Vec a = E::Broadcast(p + i * (kKeyBlock / E::kPerStep) + k);
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) c[i][j] = E::Product(a, b[j], c[i][j]);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
      const Lanes a = Set(alpha[i]);
      const Lanes b = Set(beta[i]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) {
        float* to = o[i] + at + 16 * j;
        Store(to, Fma(Load(to), a, Mul(E::ToLanes(c[i][j]), b)));
      }
    }
  }

  template <int MR>
  static void ValueRows(const typename E::Step* p, int32_t first, int32_t last, const typename E::Step* values,
                        int32_t value_stride, const float* alpha, const float* beta, float* const* o) {
    int32_t at = 0;
    for (; at + 16 * E::kWide <= value_stride; at += 16 * E::kWide) {
      ValueTile<MR, E::kWide>(p, first, last, values, value_stride, alpha, beta, o, at);
    }
    for (; at < value_stride; at += 16) {
      ValueTile<MR, 1>(p, first, last, values, value_stride, alpha, beta, o, at);
    }
  }

  /// Caps, biases and hides what a row may not see. x covers entries [begin, end) of the block.
  static void Adjust(const AttendGroup& g, int32_t row, int32_t begin, int32_t end, float* x) {
    const Lanes hidden = Set(-INFINITY);
    for (int32_t e = begin; e < end; e += 16) {
      Lanes v = Load(x + e);
      if (g.soft_cap != 0.0f) v = Mul(E::Tanh(v), Set(g.soft_cap));
      if (g.bias != nullptr) v = Add(v, Load(g.bias + e));
      Store(x + e, v);
      const int32_t limit = g.limit[row];
      const int32_t from = g.hole_begin[row];
      const int32_t to = g.hole_end[row];
      const bool whole = e + 16 <= limit && (e + 16 <= from || e >= to) && g.positions == nullptr;
      if (whole) continue;
      if (e >= limit || (e >= from && e + 16 <= to)) {
        Store(x + e, hidden);
        continue;
      }
      for (int32_t i = e; i < e + 16; i++) {
        const bool visible = i < limit && (i < from || i >= to) &&
                             (g.positions == nullptr || g.positions[i] >= g.least_position[row]);
        if (!visible) x[i] = -INFINITY;
      }
    }
  }

  static float LargestOf(const float* x, int32_t begin, int32_t end) {
    Lanes largest = Set(-INFINITY);
    for (int32_t e = begin; e < end; e += 16) largest = Max(largest, Load(x + e));
    return Largest(largest);
  }

  static void Group(const AttendGroup& g) {
    alignas(64) float x[kGroupRows * kKeyBlock];
    alignas(64) typename E::Step p[kGroupRows * kKeyBlock / E::kPerStep];
    alignas(64) float one[16];
    float alpha[kGroupRows];
    float beta[kGroupRows];
    const int32_t begin = g.first_panel * kPanel;
    const int32_t end = g.last_panel * kPanel;
    const auto* keys = static_cast<const typename E::Step*>(g.keys);
    const int32_t steps = g.head_dim / E::kPerStep;
    for (int32_t panel = g.first_panel; panel < g.last_panel; panel++) {
      Scores(g.q, g.rows, g.head_dim, keys + static_cast<int64_t>(panel) * steps * kPanel, g.scale, x + panel * kPanel,
             kKeyBlock);
    }
    const bool plain = g.soft_cap == 0.0f && g.bias == nullptr && g.positions == nullptr;
    for (int32_t i = 0; i < g.rows; i++) {
      float* row = x + i * kKeyBlock;
      const bool open = g.limit[i] >= end && (g.hole_begin[i] >= end || g.hole_end[i] <= begin);
      if (!plain || !open) Adjust(g, i, begin, end, row);
      if (g.logits[i] != nullptr) {
        for (int32_t e = 0; e < kKeyBlock; e += 16) {
          Store(g.logits[i] + e, e >= begin && e < end ? Load(row + e) : Set(-INFINITY));
        }
      }
      const float m_b = LargestOf(row, begin, end);
      const float m_old = *g.m[i];
      typename E::Step* probability = p + i * (kKeyBlock / E::kPerStep);
      if (m_b == -INFINITY) {
        alpha[i] = 1.0f;
        beta[i] = 0.0f;
        for (int32_t k = begin / E::kPerStep; k < end / E::kPerStep; k++) probability[k] = {};
        continue;
      }
      const float m_new = m_b > m_old ? m_b : m_old;
      Store(one, E::Exp(Set(m_old - m_new)));
      alpha[i] = one[0];
      Store(one, E::Exp(Set(m_b - m_new)));
      beta[i] = one[0];
      const Lanes shift = Set(m_b);
      Lanes sum = Set(0.0f);
      for (int32_t e = begin; e < end; e += 16 * E::kPerStep) {
        sum = E::ExpBlock(row + e, shift, sum, probability + e / E::kPerStep);
      }
      *g.m[i] = m_new;
      *g.l[i] = __builtin_fmaf(*g.l[i], alpha[i], Sum(sum) * beta[i]);
    }
    const auto* values = static_cast<const typename E::Step*>(g.values);
    const int32_t first = begin / E::kPerStep;
    const int32_t last = end / E::kPerStep;
    const int32_t stride = (g.head_dim_v + 15) / 16 * 16;
    switch (g.rows) {
      case 1: return ValueRows<1>(p, first, last, values, stride, alpha, beta, g.o);
      case 2: return ValueRows<2>(p, first, last, values, stride, alpha, beta, g.o);
      case 3: return ValueRows<3>(p, first, last, values, stride, alpha, beta, g.o);
      case 4: return ValueRows<4>(p, first, last, values, stride, alpha, beta, g.o);
      case 5: return ValueRows<5>(p, first, last, values, stride, alpha, beta, g.o);
      default: return ValueRows<6>(p, first, last, values, stride, alpha, beta, g.o);
    }
  }

  static void Merge(float m_b, float l_b, const float* o_b, int32_t count, float* m, float* l, float* o) {
    if (m_b == -INFINITY) return;
    alignas(64) float one[16];
    const float m_new = m_b > *m ? m_b : *m;
    Store(one, E::Exp(Set(*m - m_new)));
    const float alpha = one[0];
    Store(one, E::Exp(Set(m_b - m_new)));
    const float beta = one[0];
    *m = m_new;
    *l = __builtin_fmaf(*l, alpha, l_b * beta);
    for (int32_t c = 0; c < count; c += 16) Store(o + c, Fma(Load(o + c), Set(alpha), Mul(Load(o_b + c), Set(beta))));
  }

  static void Probabilities(float* x, int64_t count, float m, float inverse) {
    const Lanes shift = Set(m);
    const Lanes factor = Set(inverse);
    int64_t e = 0;
    for (; e + 16 <= count; e += 16) Store(x + e, Mul(E::Exp(Sub(Load(x + e), shift)), factor));
    const int tail = static_cast<int>(count - e);
    if (tail > 0) StorePartial(x + e, Mul(E::Exp(Sub(LoadPartial(x + e, tail, -INFINITY), shift)), factor), tail);
  }

  static void SoftmaxSums(const float* x, int64_t count, float* m, float* l) {
    Lanes largest = Set(-INFINITY);
    int64_t e = 0;
    for (; e + 16 <= count; e += 16) largest = Max(largest, Load(x + e));
    const int tail = static_cast<int>(count - e);
    if (tail > 0) largest = Max(largest, LoadPartial(x + e, tail, -INFINITY));
    *m = Largest(largest);
    *l = 0.0f;
    if (*m == -INFINITY) return;
    const Lanes shift = Set(*m);
    Lanes sum = Set(0.0f);
    for (e = 0; e + 16 <= count; e += 16) sum = Add(sum, E::Exp(Sub(Load(x + e), shift)));
    if (tail > 0) sum = Add(sum, E::Exp(Sub(LoadPartial(x + e, tail, -INFINITY), shift)));
    *l = Sum(sum);
  }

  static constexpr AttendKernels Table() {
    return {E::kLogUnit, &E::PackKeys, &E::PackValues, &Group,         &Scores,
            &Merge,      &Probabilities, &SoftmaxSums, &E::Finish};
  }
};

#if defined(WINNOW_ISA_AVX512BF16)
constexpr AttendTable kTable = {Attend<F32Element>::Table(), Attend<Bf16Element>::Table()};
#else
constexpr AttendTable kTable = {Attend<F32Element>::Table(), {}};
#endif

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(AttendTable, WINNOW_ISA::kTable);
}
