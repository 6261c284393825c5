#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "isa.h"

#if defined(WINNOW_ISA_AVX512) || defined(WINNOW_ISA_AVX2)
#include <immintrin.h>
#endif

/// Scalar conversions for every file, and 16-lane vectors for .isa.cpp files.
namespace winnow {

using Bf16 = uint16_t;

/// Round to nearest even; NaN stays NaN.
static inline Bf16 ToBf16(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<Bf16>((u >> 16) | 0x40u);
  return static_cast<Bf16>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
static inline float FromBf16(Bf16 b) {
  uint32_t u = static_cast<uint32_t>(b) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
/// IEEE half to float, exact (subnormals, infinities and NaN included).
static inline float FromF16(uint16_t h) {
  uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u, u;
  if (exponent == 31) {
    u = sign | 0x7f800000u | (mantissa << 13);
  } else if (exponent != 0) {
    u = sign | ((exponent + 112) << 23) | (mantissa << 13);
  } else {
    float f = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -f : f;
  }
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
/// Float to half, round to nearest even; overflow to infinity.
static inline uint16_t ToF16(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return sign | 0x7e00u;
  if (u >= 0x477ff000u) return sign | 0x7c00u;
  if (u < 0x38800000u) {  // below 2^-14: the half is subnormal, a multiple of 2^-24
    float magnitude;
    std::memcpy(&magnitude, &u, 4);
    float shifted = magnitude + 0.5f;  // ulp of [0.5, 1) is 2^-24: the sum rounds where the half must
    std::memcpy(&u, &shifted, 4);
    return sign | static_cast<uint16_t>(u - 0x3f000000u);
  }
  u += 0xfffu + ((u >> 13) & 1u);
  return sign | static_cast<uint16_t>((u - 0x38000000u) >> 13);
}

}  // namespace winnow

#ifdef WINNOW_ISA
/// 16 float lanes, the same results on every instruction set: element-wise IEEE operations, explicit fused
/// multiply-add, and one fixed order for reductions. Compiled with -ffp-contract=off.
///
///   Sum order: lane i + lane i+8, then i+4, i+2, i+1. A long sum keeps 16 lane sums (element k goes to lane k % 16,
///   ascending) and reduces once at the end; a tail is padded with the neutral element (LoadPartial).
namespace winnow::WINNOW_ISA {

constexpr int kLanes = 16;

#if defined(WINNOW_ISA_AVX512)
struct Lanes {
  __m512 v;
};
static inline __mmask16 FirstLanes_(int n) { return static_cast<__mmask16>(n >= 16 ? 0xffff : (1u << n) - 1u); }
static inline Lanes Set(float x) { return {_mm512_set1_ps(x)}; }
static inline Lanes Load(const float* p) { return {_mm512_loadu_ps(p)}; }
static inline Lanes LoadPartial(const float* p, int n, float fill = 0) {
  return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), FirstLanes_(n), p)};
}
static inline void Store(float* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
static inline void StorePartial(float* p, Lanes a, int n) { _mm512_mask_storeu_ps(p, FirstLanes_(n), a.v); }
static inline Lanes Add(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline Lanes Sub(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline Lanes Mul(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline Lanes Div(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline Lanes Fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }  // a * b + c
static inline Lanes Max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }  // a > b ? a : b, so NaN gives b
static inline Lanes Min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }  // a < b ? a : b
/// a < b ? yes : no, lane by lane (NaN compares false).
static inline Lanes SelectLess(Lanes a, Lanes b, Lanes yes, Lanes no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
}
static inline Lanes Pow2Bits_(Lanes t) {  // 2^n for t = n + 1.5 * 2^23
  __m512i n = _mm512_sub_epi32(_mm512_castps_si512(t.v), _mm512_set1_epi32(0x4b400000 - 127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(n, 23))};
}
static inline float Sum(Lanes a) {
  __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
static inline float Largest(Lanes a) { return _mm512_reduce_max_ps(a.v); }
static inline float Smallest(Lanes a) { return _mm512_reduce_min_ps(a.v); }
static inline Lanes LoadBf16(const Bf16* p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
static inline Lanes LoadBf16Partial(const Bf16* p, int n) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(FirstLanes_(n), p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
static inline __m256i PackBf16_(Lanes a) {
#if defined(WINNOW_ISA_AVX512BF16)
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v));  // subnormals become zero here, as in vdpbf16ps
#else
  __m512i u = _mm512_castps_si512(a.v);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), rounded, quiet));
#endif
}
static inline void StoreBf16(Bf16* p, Lanes a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), PackBf16_(a)); }
static inline void StoreBf16Partial(Bf16* p, Lanes a, int n) {
  _mm256_mask_storeu_epi16(p, FirstLanes_(n), PackBf16_(a));
}

#elif defined(WINNOW_ISA_AVX2)
struct Lanes {
  __m256 lo, hi;
};
static inline __m256i FirstLanes_(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline Lanes Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline Lanes Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline Lanes LoadPartial(const float* p, int n, float fill = 0) {
  __m256i a = FirstLanes_(n), b = FirstLanes_(n - 8);
  __m256 f = _mm256_set1_ps(fill);
  return {_mm256_blendv_ps(f, _mm256_maskload_ps(p, a), _mm256_castsi256_ps(a)),
          _mm256_blendv_ps(f, _mm256_maskload_ps(p + 8, b), _mm256_castsi256_ps(b))};
}
static inline void Store(float* p, Lanes a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
static inline void StorePartial(float* p, Lanes a, int n) {
  _mm256_maskstore_ps(p, FirstLanes_(n), a.lo);
  _mm256_maskstore_ps(p + 8, FirstLanes_(n - 8), a.hi);
}
static inline Lanes Add(Lanes a, Lanes b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
static inline Lanes Sub(Lanes a, Lanes b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
static inline Lanes Mul(Lanes a, Lanes b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
static inline Lanes Div(Lanes a, Lanes b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
static inline Lanes Fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
static inline Lanes Max(Lanes a, Lanes b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
static inline Lanes Min(Lanes a, Lanes b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
static inline Lanes SelectLess(Lanes a, Lanes b, Lanes yes, Lanes no) {
  return {_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
static inline Lanes Pow2Bits_(Lanes t) {
  __m256i shift = _mm256_set1_epi32(0x4b400000 - 127);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_sub_epi32(_mm256_castps_si256(t.lo), shift), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_sub_epi32(_mm256_castps_si256(t.hi), shift), 23))};
}
static inline float Sum(Lanes a) {
  __m256 b = _mm256_add_ps(a.lo, a.hi);
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
static inline float Largest(Lanes a) {
  __m256 b = _mm256_max_ps(a.lo, a.hi);
  __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
static inline float Smallest(Lanes a) {
  __m256 b = _mm256_min_ps(a.lo, a.hi);
  __m128 c = _mm_min_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_min_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_min_ss(c, _mm_movehdup_ps(c)));
}
static inline __m256 WidenBf16_(const Bf16* p) {
  __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
static inline Lanes LoadBf16(const Bf16* p) { return {WidenBf16_(p), WidenBf16_(p + 8)}; }
static inline Lanes LoadBf16Partial(const Bf16* p, int n) {
  alignas(32) Bf16 full[16] = {};
  for (int i = 0; i < n; i++) full[i] = p[i];
  return LoadBf16(full);
}
static inline void StoreBf16Partial(Bf16* p, Lanes a, int n) {
  alignas(32) float x[16];
  Store(x, a);
  for (int i = 0; i < n; i++) p[i] = ToBf16(x[i]);
}
static inline void StoreBf16(Bf16* p, Lanes a) { StoreBf16Partial(p, a, 16); }

#else  // scalar: the definition the others are held against
struct Lanes {
  float v[16];
};
#define WINNOW_LANES_(expression)              \
  Lanes r;                                     \
  for (int i = 0; i < 16; i++) r.v[i] = (expression); \
  return r
static inline Lanes Set(float x) { WINNOW_LANES_(x); }
static inline Lanes Load(const float* p) { WINNOW_LANES_(p[i]); }
static inline Lanes LoadPartial(const float* p, int n, float fill = 0) { WINNOW_LANES_(i < n ? p[i] : fill); }
static inline void Store(float* p, Lanes a) { std::memcpy(p, a.v, sizeof a.v); }
static inline void StorePartial(float* p, Lanes a, int n) {
  for (int i = 0; i < n && i < 16; i++) p[i] = a.v[i];
}
static inline Lanes Add(Lanes a, Lanes b) { WINNOW_LANES_(a.v[i] + b.v[i]); }
static inline Lanes Sub(Lanes a, Lanes b) { WINNOW_LANES_(a.v[i] - b.v[i]); }
static inline Lanes Mul(Lanes a, Lanes b) { WINNOW_LANES_(a.v[i] * b.v[i]); }
static inline Lanes Div(Lanes a, Lanes b) { WINNOW_LANES_(a.v[i] / b.v[i]); }
static inline Lanes Fma(Lanes a, Lanes b, Lanes c) { WINNOW_LANES_(__builtin_fmaf(a.v[i], b.v[i], c.v[i])); }
static inline Lanes Max(Lanes a, Lanes b) { WINNOW_LANES_(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
static inline Lanes Min(Lanes a, Lanes b) { WINNOW_LANES_(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
static inline Lanes SelectLess(Lanes a, Lanes b, Lanes yes, Lanes no) {
  WINNOW_LANES_(a.v[i] < b.v[i] ? yes.v[i] : no.v[i]);
}
static inline Lanes Pow2Bits_(Lanes t) {
  Lanes r;
  for (int i = 0; i < 16; i++) {
    uint32_t u;
    std::memcpy(&u, &t.v[i], 4);
    u = (u - (0x4b400000u - 127u)) << 23;
    std::memcpy(&r.v[i], &u, 4);
  }
  return r;
}
static inline float Sum(Lanes a) {
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; i++) a.v[i] = a.v[i] + a.v[i + step];
  return a.v[0];
}
static inline float Largest(Lanes a) {
  float m = a.v[0];
  for (int i = 1; i < 16; i++) m = a.v[i] > m ? a.v[i] : m;
  return m;
}
static inline float Smallest(Lanes a) {
  float m = a.v[0];
  for (int i = 1; i < 16; i++) m = a.v[i] < m ? a.v[i] : m;
  return m;
}
static inline Lanes LoadBf16(const Bf16* p) { WINNOW_LANES_(FromBf16(p[i])); }
static inline Lanes LoadBf16Partial(const Bf16* p, int n) { WINNOW_LANES_(i < n ? FromBf16(p[i]) : 0.f); }
static inline void StoreBf16(Bf16* p, Lanes a) {
  for (int i = 0; i < 16; i++) p[i] = ToBf16(a.v[i]);
}
static inline void StoreBf16Partial(Bf16* p, Lanes a, int n) {
  for (int i = 0; i < n && i < 16; i++) p[i] = ToBf16(a.v[i]);
}
#undef WINNOW_LANES_
#endif

/// e^x, relative error below 1.2e-7 on [-87.3, 88.3]. Below -87.33 (and at -inf) exactly 0; above 88.37 +inf; NaN stays NaN.
static inline Lanes Exp(Lanes x) {
  Lanes clamped = Min(Set(88.8f), Max(Set(-87.33f), x));  // in this order NaN passes through
  Lanes t = Fma(clamped, Set(1.44269504f), Set(12582912.f));
  Lanes n = Sub(t, Set(12582912.f));
  Lanes r = Fma(n, Set(-0.693359375f), clamped);
  r = Fma(n, Set(2.12194440e-4f), r);
  Lanes p = Set(1.9875691500e-4f);
  p = Fma(p, r, Set(1.3981999507e-3f));
  p = Fma(p, r, Set(8.3334519073e-3f));
  p = Fma(p, r, Set(4.1665795894e-2f));
  p = Fma(p, r, Set(1.6666665459e-1f));
  p = Fma(p, r, Set(5.0000001201e-1f));
  p = Fma(p, Mul(r, r), r);
  p = Add(p, Set(1.f));
  return SelectLess(x, Set(-87.33f), Set(0.f), Mul(p, Pow2Bits_(t)));
}

}  // namespace winnow::WINNOW_ISA
#endif  // WINNOW_ISA
