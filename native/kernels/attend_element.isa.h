/// Element types of the attention kernels, for .isa.cpp files only: how elements are packed, multiplied and raised.
#pragma once

#include "attend_block.h"
#include "numerics.h"
#include "transpose.isa.h"

namespace winnow::WINNOW_ISA {

struct F32Element {
  using Step = float;  ///< one element along head_dim (scores) or the entries (values)
  using Vec = Lanes;
  using Acc = Lanes;
  static constexpr int kPerStep = 1;
  static constexpr float kLogUnit = 1.0f;
#if defined(WINNOW_ISA_AVX512)
  static constexpr int kWide = 4;  // 6 x 4 accumulators of the 32 registers
#else
  static constexpr int kWide = 1;  // 6 x 2 half vectors of the 16
#endif

#if defined(WINNOW_ISA_AVX512)
  static constexpr bool kHasDirect = true;
  /// Vectors [4] of 16 outputs from `at` of one entry's value (even = odd here).
  static inline __attribute__((always_inline)) void LoadValues(const void* row, const void*, int32_t at, Lanes (&v)[4]) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) v[j] = Load(static_cast<const float*>(row) + at + 16 * j);
  }
  static inline Lanes FromDwords(__m512i x) { return {_mm512_castsi512_ps(x)}; }
#else
  static constexpr bool kHasDirect = false;
#endif

  static inline Lanes Zero() { return Set(0.0f); }
  static inline Lanes LoadVec(const float* p) { return Load(p); }
  static inline Lanes Broadcast(const float* p) { return Set(*p); }
  static inline Lanes Product(Lanes a, Lanes b, Lanes c) { return Fma(a, b, c); }
  static inline Lanes ToLanes(Lanes c) { return c; }
  static inline Lanes Exp(Lanes x) { return WINNOW_ISA::Exp(x); }

  /// tanh(x) for the soft cap: 1 - 2 / (e^2x + 1), absolute error below 2e-7.
  static inline Lanes Tanh(Lanes x) {
    const Lanes bounded = Max(Set(-20.0f), Min(Set(20.0f), x));
    return Sub(Set(1.0f), Div(Set(2.0f), Add(Exp(Add(bounded, bounded)), Set(1.0f))));
  }

  static inline Lanes ExpBlock(const float* x, Lanes shift, Lanes sum, float* p) {
    const Lanes e = Exp(Sub(Load(x), shift));
    Store(p, e);
    return Add(sum, e);
  }

  static void PackKeys(const void* const* rows, int32_t count, int32_t head_dim, void* panel) {
    PackColumns(rows, count, head_dim, panel);
  }

  static void PackValues(const void* const* rows, int32_t count, int32_t head_dim_v, void* panel) {
    const int32_t stride = ValueStride(head_dim_v);
    float* out = static_cast<float*>(panel);
    for (int32_t e = 0; e < kPanel; e++, out += stride) {
      const float* row = e < count ? static_cast<const float*>(rows[e]) : nullptr;
      int32_t c = 0;
      if (row != nullptr) {
        for (; c + 16 <= head_dim_v; c += 16) Store(out + c, Load(row + c));
        for (; c < head_dim_v; c++) out[c] = row[c];
      }
      for (; c < stride; c++) out[c] = 0.0f;
    }
  }

  static void Finish(const float* o, int32_t count, float factor, void* out) {
    float* to = static_cast<float*>(out);
    const Lanes f = Set(factor);
    int32_t c = 0;
    for (; c + 16 <= count; c += 16) Store(to + c, Mul(Load(o + c), f));
    if (c < count) StorePartial(to + c, Mul(LoadPartial(o + c, count - c), f), count - c);
  }
};

#if defined(WINNOW_ISA_AVX512BF16)
struct Bf16Element {
  using Step = uint32_t;  ///< two neighbours along head_dim (scores) or the entries (values)
  using Vec = __m512i;
  using Acc = __m512;
  static constexpr int kPerStep = 2;
  static constexpr float kLogUnit = 1.44269504f;
  static constexpr int kWide = 4;

  static constexpr bool kHasDirect = true;
  /// Vectors [4] of 16 outputs from `at` of a pair of entries' values.
  static inline __attribute__((always_inline)) void LoadValues(const void* even, const void* odd, int32_t at, __m512i (&v)[4]) {
    const __m512i first = PairIndex(0);
    const __m512i second = PairIndex(16);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      const __m512i a = _mm512_loadu_si512(static_cast<const Bf16*>(even) + at + 32 * j);
      const __m512i b = _mm512_loadu_si512(static_cast<const Bf16*>(odd) + at + 32 * j);
      v[2 * j] = _mm512_permutex2var_epi16(a, first, b);
      v[2 * j + 1] = _mm512_permutex2var_epi16(a, second, b);
    }
  }
  static inline __m512i FromDwords(__m512i x) { return x; }
  /// Words i of the first and of the second operand side by side, i from `from`, for permutex2var.
  static inline __m512i PairIndex(int from) {
    const __m512i dword = _mm512_add_epi32(_mm512_set1_epi32(from), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    return _mm512_or_si512(dword, _mm512_slli_epi32(_mm512_add_epi32(dword, _mm512_set1_epi32(32)), 16));
  }

  static inline __m512 Zero() { return _mm512_setzero_ps(); }
  static inline __m512i LoadVec(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static inline __m512i Broadcast(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }
  static inline __m512 Product(__m512i a, __m512i b, __m512 c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static inline Lanes ToLanes(__m512 c) { return {c}; }

  /// 2^x with a degree-4 polynomial, relative error 3e-6; -inf gives 0.
  static inline Lanes Exp(Lanes x) {
    const __m512 v = _mm512_max_ps(x.v, _mm512_set1_ps(-200.0f));
    const __m512 n = _mm512_roundscale_ps(v, 0);
    const __m512 f = _mm512_sub_ps(v, n);
    __m512 p = _mm512_set1_ps(0.00958285643f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.0559064334f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.240240986f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693124192f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return {_mm512_scalef_ps(p, n)};
  }
  static inline Lanes Tanh(Lanes x) { return F32Element::Tanh(x); }

  static inline Lanes ExpBlock(const float* x, Lanes shift, Lanes sum, uint32_t* p) {
    const Lanes low = Exp(Sub(Load(x), shift));
    const Lanes high = Exp(Sub(Load(x + 16), shift));
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v)));
    return Add(sum, Add(low, high));
  }

  static void PackKeys(const void* const* rows, int32_t count, int32_t head_dim, void* panel) {
    PackColumns(rows, count, head_dim / 2, panel);
  }

  static void PackValues(const void* const* rows, int32_t count, int32_t head_dim_v, void* panel) {
    const int32_t stride = ValueStride(head_dim_v);
    const __m512i first = PairIndex(0);
    const __m512i second = PairIndex(16);
    uint32_t* out = static_cast<uint32_t*>(panel);
    int32_t e = 0;
    for (; head_dim_v % 32 == 0 && e + 2 <= count; e += 2, out += stride) {
      const auto* even = static_cast<const Bf16*>(rows[e]);
      const auto* odd = static_cast<const Bf16*>(rows[e + 1]);
      for (int32_t c = 0; c < stride; c += 32) {
        const __m512i a = _mm512_loadu_si512(even + c);
        const __m512i b = _mm512_loadu_si512(odd + c);
        _mm512_storeu_si512(out + c, _mm512_permutex2var_epi16(a, first, b));
        _mm512_storeu_si512(out + c + 16, _mm512_permutex2var_epi16(a, second, b));
      }
    }
    for (; e < kPanel; e += 2, out += stride) {
      for (int32_t c = 0; c < stride; c += 32) {
        const int32_t left = head_dim_v - c;
        const __mmask32 mask = left >= 32 ? 0xffffffffu : (1u << left) - 1u;
        const __m512i even =
            e < count ? _mm512_maskz_loadu_epi16(mask, static_cast<const Bf16*>(rows[e]) + c) : _mm512_setzero_si512();
        const __m512i odd = e + 1 < count ? _mm512_maskz_loadu_epi16(mask, static_cast<const Bf16*>(rows[e + 1]) + c)
                                          : _mm512_setzero_si512();
        _mm512_storeu_si512(out + c, _mm512_permutex2var_epi16(even, first, odd));
        if (c + 16 < stride) _mm512_storeu_si512(out + c + 16, _mm512_permutex2var_epi16(even, second, odd));
      }
    }
  }

  static void Finish(const float* o, int32_t count, float factor, void* out) {
    Bf16* to = static_cast<Bf16*>(out);
    const Lanes f = Set(factor);
    int32_t c = 0;
    for (; c + 16 <= count; c += 16) StoreBf16(to + c, Mul(Load(o + c), f));
    if (c < count) StoreBf16Partial(to + c, Mul(LoadPartial(o + c, count - c), f), count - c);
  }
};
#endif

}  // namespace winnow::WINNOW_ISA
