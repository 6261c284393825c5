#include "attend_block.h"

#include "attend_element.isa.h"

namespace winnow::WINNOW_ISA {

alignas(64) static const float kIndex[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

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

  /// Rows of entries that lie anywhere.
  struct ListedRows {
    const void* const* rows;
    const char* operator[](int32_t i) const { return static_cast<const char*>(rows[i]); }
  };
  /// Rows that lie one behind the other.
  struct RowRun {
    const char* first;
    int64_t bytes;
    const char* operator[](int32_t i) const { return first + i * bytes; }
  };

  /// Scores of MR rows against 16 NG entries that are transposed in registers; asks for the rows `ahead` meanwhile, line by
  /// line: asked for in one go, more than the core can have under way are dropped (measured: half the rate).
  template <int MR, int NG, class Rows>
  static inline __attribute__((always_inline)) void ScoreDirect(const typename E::Step* const* q, int32_t steps, Rows rows,
                                                                Rows ahead, float scale, float* out) {
#if defined(WINNOW_ISA_AVX512)
    typename E::Acc c[MR][NG];
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < NG; j++) c[i][j] = E::Zero();
    }
    for (int32_t k = 0; k < steps; k += 16) {
#pragma GCC unroll 4
      for (int j = 0; j < NG; j++) {
        // One block of 16 rows after the other: gcc 12 would load two and keep half of them on the stack.
        __asm__ volatile("" ::: "memory");
        __m512i block[16];
#pragma GCC unroll 16
        for (int r = 0; r < 16; r++) {
          block[r] = _mm512_loadu_si512(rows[16 * j + r] + k * 4);
          __builtin_prefetch(ahead[16 * j + r] + k * 4, 0, 3);
        }
        Transpose16(block);
#pragma GCC unroll 16
        for (int r = 0; r < 16; r++) {
#pragma GCC unroll 8
          for (int i = 0; i < MR; i++) {
            c[i][j] = E::Product(E::Broadcast(q[i] + k + r), E::FromDwords(block[r]), c[i][j]);
          }
        }
      }
    }
    const Lanes factor = Set(scale);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < NG; j++) Store(out + i * kKeyBlock + 16 * j, Mul(E::ToLanes(c[i][j]), factor));
    }
#else
    (void)q, (void)steps, (void)rows, (void)ahead, (void)scale, (void)out;
#endif
  }

  template <int MR>
  static void ScoreDirectRange(const AttendGroup& g, int32_t begin, int32_t end, float* x) {
    constexpr int NG = 2;
    const typename E::Step* q[MR];
    for (int i = 0; i < MR; i++) q[i] = static_cast<const typename E::Step*>(g.q[i]);
    const int32_t steps = g.head_dim / E::kPerStep;
    for (int32_t e = begin; g.key_panels == nullptr && e < end; e += 16 * NG) {
      const void* const* ahead = e + kPanel < end ? g.key_rows + e + kPanel : g.value_rows + begin + (e + kPanel - end);
      ScoreDirect<MR, NG, ListedRows>(q, steps, {g.key_rows + e}, {ahead}, g.scale, x + e);
    }
    if (g.key_panels == nullptr) return;
    const int64_t key = RowBytes(g.head_dim);
    const int64_t value = RowBytes(g.head_dim_v);
    for (int32_t panel = begin / kPanel; panel < end / kPanel; panel++) {
      const RowRun rows{static_cast<const char*>(g.key_panels[panel]), key};
      const bool is_last = (panel + 1) * kPanel == end;
      const RowRun ahead{static_cast<const char*>(is_last ? g.value_panels[begin / kPanel] : g.key_panels[panel + 1]),
                         is_last ? value : key};
      for (int32_t e = 0; e < kPanel; e += 16 * NG) {
        ScoreDirect<MR, NG, RowRun>(q, steps, {rows[e], key}, {ahead[e], ahead.bytes}, g.scale, x + panel * kPanel + e);
      }
    }
  }

  static int64_t RowBytes(int32_t dim) { return int64_t{dim} * 4 / E::kPerStep; }

  /// The 64 values from `at` of a row.
  static inline void Ask(const void* row, int32_t at) {
    const char* from = static_cast<const char*>(row) + at * 4 / E::kPerStep;
    for (int32_t byte = 0; byte < 256 / E::kPerStep; byte += 64) __builtin_prefetch(from + byte, 0, 3);
  }

  template <int MR>
  static inline __attribute__((always_inline)) void ValueStep(const typename E::Step* p, int32_t k, const void* even,
                                                              const void* odd, int32_t at, typename E::Acc (&c)[MR][4]) {
#if defined(WINNOW_ISA_AVX512)
    typename E::Vec v[4];
    E::LoadValues(even, odd, at, v);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
      const typename E::Vec a = E::Broadcast(p + i * (kKeyBlock / E::kPerStep) + k);
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) c[i][j] = E::Product(a, v[j], c[i][j]);
    }
#else
    (void)p, (void)k, (void)even, (void)odd, (void)at, (void)c;
#endif
  }

  /// As ValueTile, from the rows themselves; four vectors of outputs.
  template <int MR>
  static void ValueDirectRange(const AttendGroup& g, const typename E::Step* p, int32_t first, int32_t last, const float* alpha,
                               const float* beta) {
    constexpr int kRows = E::kPerStep;
    constexpr int32_t kPanelSteps = kPanel / kRows;
    const int64_t bytes = RowBytes(g.head_dim_v);
    const int64_t key = RowBytes(g.head_dim);
    for (int32_t at = 0; at < g.head_dim_v; at += 64) {
      typename E::Acc c[MR][4];
#pragma GCC unroll 8
      for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) c[i][j] = E::Zero();
      }
      for (int32_t k = first; g.value_panels == nullptr && k < last; k++) {
        for (int u = 0; k + kPanelSteps < last && u < kRows; u++) Ask(g.value_rows[(k + kPanelSteps) * kRows + u], at);
        ValueStep<MR>(p, k, g.value_rows[k * kRows], g.value_rows[k * kRows + kRows - 1], at, c);
      }
      for (int32_t panel = first / kPanelSteps; g.value_panels != nullptr && panel < last / kPanelSteps; panel++) {
        const auto* row = static_cast<const char*>(g.value_panels[panel]);
        const bool is_last = (panel + 1) * kPanelSteps == last;
        const bool has_keys = is_last && g.next_keys != nullptr && at < g.head_dim;
        // Where nothing is known to come, lines that are there already are asked for.
        const auto* ahead = !is_last ? static_cast<const char*>(g.value_panels[panel + 1])
                            : has_keys ? static_cast<const char*>(g.next_keys) : row;
        const int64_t stride = has_keys ? key : bytes;
        for (int32_t s = 0; s < kPanelSteps; s++, row += kRows * bytes) {
          for (int u = 0; u < kRows; u++, ahead += stride) Ask(ahead, at);
          ValueStep<MR>(p, panel * kPanelSteps + s, row, row + (kRows - 1) * bytes, at, c);
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < MR; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
          float* to = g.o[i] + at + 16 * j;
          Store(to, Fma(Load(to), Set(alpha[i]), Mul(E::ToLanes(c[i][j]), Set(beta[i]))));
        }
      }
    }
  }

  static bool HasDirect(int32_t head_dim, int32_t head_dim_v) {
    return E::kHasDirect && head_dim / E::kPerStep % 16 == 0 && head_dim_v % 64 == 0;
  }

  /// x[from, to) becomes -inf.
  static void HideRange(float* x, int32_t from, int32_t to) {
    const Lanes hidden = Set(-INFINITY);
    const Lanes begin = Set(static_cast<float>(from));
    const Lanes end = Set(static_cast<float>(to));
    for (int32_t e = from / 16 * 16; e < to; e += 16) {
      const Lanes index = Add(Load(kIndex), Set(static_cast<float>(e)));
      const Lanes v = Load(x + e);
      Store(x + e, SelectLess(index, begin, v, SelectLess(index, end, hidden, v)));
    }
  }

  /// Caps and biases entries [begin, end) of the block and hides those before the sliding window.
  static void Adjust(const AttendGroup& g, int32_t row, int32_t begin, int32_t end, float* x) {
    for (int32_t e = begin; e < end; e += 16) {
      Lanes v = Load(x + e);
      if (g.soft_cap != 0.0f) v = Mul(E::Tanh(v), Set(g.soft_cap));
      if (g.bias != nullptr) v = Add(v, Load(g.bias + e));
      if (g.row_bias[row] != nullptr) v = Add(v, Load(g.row_bias[row] + e));
      Store(x + e, v);
    }
    if (g.positions == nullptr) return;
    for (int32_t e = begin; e < end; e++) {
      if (g.positions[e] < g.least_position[row]) x[e] = -INFINITY;
    }
  }

  static float LargestOf(const float* x, int32_t begin, int32_t end) {
    Lanes largest[4] = {Set(-INFINITY), Set(-INFINITY), Set(-INFINITY), Set(-INFINITY)};
    for (int32_t e = begin; e < end; e += kPanel) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) largest[j] = Max(largest[j], Load(x + e + 16 * j));
    }
    return Largest(Max(Max(largest[0], largest[1]), Max(largest[2], largest[3])));
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
    if (keys == nullptr) {
      switch (g.rows) {
        case 1: ScoreDirectRange<1>(g, begin, end, x); break;
        case 2: ScoreDirectRange<2>(g, begin, end, x); break;
        case 3: ScoreDirectRange<3>(g, begin, end, x); break;
        case 4: ScoreDirectRange<4>(g, begin, end, x); break;
        case 5: ScoreDirectRange<5>(g, begin, end, x); break;
        default: ScoreDirectRange<6>(g, begin, end, x); break;
      }
    }
    for (int32_t panel = g.first_panel; keys != nullptr && panel < g.last_panel; panel++) {
      Scores(g.q, g.rows, g.head_dim, keys + static_cast<int64_t>(panel) * steps * kPanel, g.scale, x + panel * kPanel,
             kKeyBlock);
    }
    const bool plain = g.soft_cap == 0.0f && g.bias == nullptr && g.positions == nullptr;
    for (int32_t i = 0; i < g.rows; i++) {
      float* row = x + i * kKeyBlock;
      if (!plain || g.row_bias[i] != nullptr) Adjust(g, i, begin, end, row);
      if (g.limit[i] < end) HideRange(row, g.limit[i] > begin ? g.limit[i] : begin, end);
      if (g.hole_begin[i] < end && g.hole_end[i] > begin) {
        HideRange(row, g.hole_begin[i] > begin ? g.hole_begin[i] : begin, g.hole_end[i] < end ? g.hole_end[i] : end);
      }
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
    if (values == nullptr) {
      switch (g.rows) {
        case 1: return ValueDirectRange<1>(g, p, first, last, alpha, beta);
        case 2: return ValueDirectRange<2>(g, p, first, last, alpha, beta);
        case 3: return ValueDirectRange<3>(g, p, first, last, alpha, beta);
        case 4: return ValueDirectRange<4>(g, p, first, last, alpha, beta);
        case 5: return ValueDirectRange<5>(g, p, first, last, alpha, beta);
        default: return ValueDirectRange<6>(g, p, first, last, alpha, beta);
      }
    }
    const int32_t stride = ValueStride(g.head_dim_v);
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
    return {E::kLogUnit, &E::PackKeys,     &E::PackValues, &HasDirect, &Group,
            &Scores,     &Merge,           &Probabilities, &SoftmaxSums, &E::Finish};
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
