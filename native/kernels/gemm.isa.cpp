#include "gemm.h"
#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

// ---- unpack: packed panel -> rows of 16-lane vectors ----

/// The scale and minimum of 16 outputs; w = fma(q, d, m).
struct Scales {
  Lanes d, m;
};

inline Lanes LoadF16(const uint16_t* p) {
#if defined(WINNOW_ISA_AVX512)
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
#elif defined(WINNOW_ISA_AVX2)
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
#else
  Lanes r;
  for (int i = 0; i < kLanes; i++) r.v[i] = FromF16(p[i]);
  return r;
#endif
}

inline Scales LoadScales(const Panel& panel, int64_t cell) {
  if (panel.type == WeightType::kQ4_1) {
    const uint16_t* p = panel.scales + cell * 2 * kGroup;
    return {LoadF16(p), LoadF16(p + kGroup)};
  }
  Lanes d = LoadF16(panel.scales + cell * kGroup);
  return {d, Mul(Set(panel.type == WeightType::kQ8_0 ? -128.f : -8.f), d)};
}

/// Nibbles are not shifted into place: nibble i of a half word is q * 16^i, and fma(q * 16^i, d / 16^i, m) is the same
/// number as fma(q, d, m), rounded once. Both scalings are exact.
struct NibbleScales {
  Lanes d[4], m;  ///< d / 16^i
};
inline NibbleScales ForNibbles(Scales s) {
  Lanes sixteenth = Set(0.0625f), d1 = Mul(s.d, sixteenth), d2 = Mul(d1, sixteenth);
  return {{s.d, d1, d2, Mul(d2, sixteenth)}, s.m};
}

/// 16 words, one per output: 8 nibbles, those of k = 2 i + p of a half block (see Panel).
#if defined(WINNOW_ISA_AVX512)
struct Words {
  __m512i v;
};
inline Words LoadNibbles(const uint8_t* half, int p) {
  __m512i low = _mm512_loadu_si512(half), high = _mm512_loadu_si512(half + 64);
  __m512i pick = _mm512_add_epi32(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), _mm512_set1_epi32(p));
  return {_mm512_permutex2var_epi32(low, pick, high)};
}
inline Words HighHalves(Words w) { return {_mm512_srli_epi32(w.v, 16)}; }
inline Lanes NibbleInPlace(Words w, int i) {
  return {_mm512_cvtepi32_ps(_mm512_and_si512(w.v, _mm512_set1_epi32(15 << (4 * i))))};
}
#elif defined(WINNOW_ISA_AVX2)
struct Words {
  __m256i low, high;
};
inline __m256i EightNibbles(const uint8_t* at, int p) {  // lanes 2 r + p of two registers
  __m256 a = _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  __m256 b = _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32)));
  __m256 mixed = p == 0 ? _mm256_shuffle_ps(a, b, 0x88) : _mm256_shuffle_ps(a, b, 0xdd);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(mixed), 0xd8);
}
inline Words LoadNibbles(const uint8_t* half, int p) { return {EightNibbles(half, p), EightNibbles(half + 64, p)}; }
inline Words HighHalves(Words w) { return {_mm256_srli_epi32(w.low, 16), _mm256_srli_epi32(w.high, 16)}; }
inline Lanes NibbleInPlace(Words w, int i) {
  __m256i mask = _mm256_set1_epi32(15 << (4 * i));
  return {_mm256_cvtepi32_ps(_mm256_and_si256(w.low, mask)), _mm256_cvtepi32_ps(_mm256_and_si256(w.high, mask))};
}
#else
struct Words {
  uint32_t v[kLanes];
};
inline Words LoadNibbles(const uint8_t* half, int p) {
  Words w;
  for (int o = 0; o < kLanes; o++) std::memcpy(&w.v[o], half + o / 8 * 64 + ((o % 8) * 2 + p) * 4, 4);
  return w;
}
inline Words HighHalves(Words w) {
  for (int o = 0; o < kLanes; o++) w.v[o] >>= 16;
  return w;
}
inline Lanes NibbleInPlace(Words w, int i) {
  Lanes r;
  for (int o = 0; o < kLanes; o++) r.v[o] = static_cast<float>(w.v[o] & (15u << (4 * i)));
  return r;
}
#endif

/// Values of 16 outputs at one k, from the 32 bytes of a k pair.
inline Lanes ByteRow(const uint8_t* pair, int p) {
#if defined(WINNOW_ISA_AVX512)
  __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(pair)));
  return {_mm512_cvtepi32_ps(p == 0 ? _mm512_and_si512(words, _mm512_set1_epi32(255)) : _mm512_srli_epi32(words, 8))};
#elif defined(WINNOW_ISA_AVX2)
  auto side = [&](const uint8_t* at) {
    __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    return _mm256_cvtepi32_ps(p == 0 ? _mm256_and_si256(words, _mm256_set1_epi32(255)) : _mm256_srli_epi32(words, 8));
  };
  return {side(pair), side(pair + 16)};
#else
  Lanes r;
  for (int o = 0; o < kLanes; o++) r.v[o] = static_cast<float>(pair[2 * o + p]);
  return r;
#endif
}

/// One k of one group of a plain (not block) panel.
inline Lanes PlainRow(const Panel& panel, int64_t k, int group) {
  int64_t width = panel.groups * kGroup, column = group * kGroup;
  auto* data = reinterpret_cast<const uint8_t*>(panel.data);
  if (panel.type == WeightType::kF32) return Load(reinterpret_cast<const float*>(data) + k * width + column);
  if (panel.type == WeightType::kF16) return LoadF16(reinterpret_cast<const uint16_t*>(data) + k * width + column);
  const uint16_t* pairs = reinterpret_cast<const uint16_t*>(data) + (k / 2 * width + column) * 2;
#if defined(WINNOW_ISA_AVX512)
  __m512i x = _mm512_loadu_si512(pairs);
  return {_mm512_castsi512_ps(k % 2 == 0 ? _mm512_slli_epi32(x, 16) : _mm512_and_si512(x, _mm512_set1_epi32(-65536)))};
#elif defined(WINNOW_ISA_AVX2)
  auto side = [&](const uint16_t* at) {
    __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return _mm256_castsi256_ps(k % 2 == 0 ? _mm256_slli_epi32(x, 16) : _mm256_and_si256(x, _mm256_set1_epi32(-65536)));
  };
  return {side(pairs), side(pairs + 16)};
#else
  Lanes r;
  for (int o = 0; o < kLanes; o++) r.v[o] = FromBf16(pairs[2 * o + k % 2]);
  return r;
#endif
}

/// Calls put(k, values) for the 32 k of one block and group, ascending.
template <bool kBytes, class Put>
inline void ForEachBlockRow(const uint8_t* cell, const Scales& s, Put put) {
  if constexpr (kBytes) {
#pragma GCC unroll 2
    for (int pair = 0; pair < 16; pair++) {
      put(2 * pair, Fma(ByteRow(cell + pair * 32, 0), s.d, s.m));
      put(2 * pair + 1, Fma(ByteRow(cell + pair * 32, 1), s.d, s.m));
    }
  } else {
    NibbleScales n = ForNibbles(s);
    for (int half = 0; half < 2; half++) {
      Words even = LoadNibbles(cell + half * 128, 0), odd = LoadNibbles(cell + half * 128, 1);
#pragma GCC unroll 2
      for (int quarter = 0; quarter < 2; quarter++) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          int k = 16 * half + 8 * quarter + 2 * i;
          put(k, Fma(NibbleInPlace(even, i), n.d[i], n.m));
          put(k + 1, Fma(NibbleInPlace(odd, i), n.d[i], n.m));
        }
        even = HighHalves(even);
        odd = HighHalves(odd);
      }
    }
  }
}

template <bool kBytes>
void UnpackBlocksF32(const Panel& panel, int64_t begin, int64_t end, float* out) {
  constexpr int64_t kCell = kBytes ? 512 : 256;
  int64_t width = panel.groups * kGroup;
  auto* data = reinterpret_cast<const uint8_t*>(panel.data);
  for (int64_t block = begin / kBlock; block < end / kBlock; block++) {
    for (int g = 0; g < panel.groups; g++) {
      int64_t cell = block * panel.groups + g;
      float* at = out + (block * kBlock - begin) * width + g * kGroup;
      ForEachBlockRow<kBytes>(data + cell * kCell, LoadScales(panel, cell), [=](int k, Lanes w) { Store(at + k * width, w); });
    }
  }
}

void UnpackF32(const Panel& panel, int64_t begin, int64_t end, float* out) {
  if (panel.type == WeightType::kQ8_0) return UnpackBlocksF32<true>(panel, begin, end, out);
  if (IsBlockType(panel.type)) return UnpackBlocksF32<false>(panel, begin, end, out);
  int64_t width = panel.groups * kGroup;
  for (int64_t k = begin; k < end; k++)
    for (int g = 0; g < panel.groups; g++) Store(out + (k - begin) * width + g * kGroup, PlainRow(panel, k, g));
}

// ---- multiply: register blocks of MR rows x NV vectors ----

template <class T>
inline void Finish(const Epilogue& e, int64_t row, int group, Lanes sum, T* out) {
  int columns = e.width - group * kLanes;
  if (columns >= kLanes) {
    T* at = out + row * e.stride + group * kLanes;
    if constexpr (sizeof(T) == 4) {
      if (e.accumulate) sum = Add(Load(at), sum);
    }
    if (e.bias != nullptr) sum = Add(sum, Load(e.bias + group * kLanes));
    if constexpr (sizeof(T) == 4) Store(at, sum); else StoreBf16(at, sum);
    return;
  }
  T* at = out + row * e.stride + group * kLanes;
  if constexpr (sizeof(T) == 4) {
    if (e.accumulate) sum = Add(LoadPartial(at, columns), sum);
  }
  if (e.bias != nullptr) sum = Add(sum, LoadPartial(e.bias + group * kLanes, columns));
  if constexpr (sizeof(T) == 4) StorePartial(at, sum, columns); else StoreBf16Partial(at, sum, columns);
}

inline void Finish(const Epilogue& e, int64_t row, int group, Lanes sum) {
  if (e.type == DType::kF32) {
    Finish(e, row, group, sum, static_cast<float*>(e.out));
  } else {
    Finish(e, row, group, sum, static_cast<Bf16*>(e.out));
  }
}

template <int MR, int NV>
__attribute__((noinline)) void TileF32(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k,
                                       int64_t row, int group, const Epilogue& e) {
  Lanes c[MR][NV];
  for (int i = 0; i < MR; i++)
    for (int j = 0; j < NV; j++) c[i][j] = Set(0);
  for (int64_t t = 0; t < k; t++) {
    Lanes w[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) w[j] = Load(b + t * ldb + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
      Lanes x = Set(a[i * lda + t]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) c[i][j] = Fma(w[j], x, c[i][j]);
    }
  }
  for (int i = 0; i < MR; i++)
    for (int j = 0; j < NV; j++) Finish(e, row + i, group + j, c[i][j]);
}

#if defined(WINNOW_ISA_AVX512)
constexpr int kRowsF32 = 6, kVectorsF32 = 4;
#elif defined(WINNOW_ISA_AVX2)
constexpr int kRowsF32 = 6, kVectorsF32 = 1;  // 12 of 16 registers are sums
#else
constexpr int kRowsF32 = 1, kVectorsF32 = 1;
#endif

using TileF32Function = void (*)(const float*, int64_t, const float*, int64_t, int64_t, int64_t, int, const Epilogue&);

template <int NV, int MR>
void RowsF32(const float* a, int64_t lda, int64_t rows, const float* b, int64_t ldb, int64_t k, int group, const Epilogue& e) {
  int64_t row = 0;
  for (; row + MR <= rows; row += MR) TileF32<MR, NV>(a + row * lda, lda, b, ldb, k, row, group, e);
  if constexpr (MR > 1) {
    static constexpr TileF32Function rest[] = {nullptr,          TileF32<1, NV>, TileF32<2, NV>, TileF32<3, NV>,
                                               TileF32<4, NV>, TileF32<5, NV>};
    if (row < rows) rest[rows - row](a + row * lda, lda, b, ldb, k, row, group, e);
  }
}

void MultiplyF32(const float* a, int64_t lda, int64_t rows, const float* b, int32_t groups, int64_t k, const Epilogue& e) {
  int64_t ldb = groups * kLanes;
  int group = 0;
  for (; group + kVectorsF32 <= groups; group += kVectorsF32) {
    RowsF32<kVectorsF32, kRowsF32>(a, lda, rows, b + group * kLanes, ldb, k, group, e);
  }
  if constexpr (kVectorsF32 > 1) {
    const float* at = b + group * kLanes;
    if (groups - group == 1) RowsF32<1, kRowsF32>(a, lda, rows, at, ldb, k, group, e);
    if (groups - group == 2) RowsF32<2, kRowsF32>(a, lda, rows, at, ldb, k, group, e);
    if (groups - group == 3) RowsF32<3, kRowsF32>(a, lda, rows, at, ldb, k, group, e);
  }
}

/// MR rows times one or two groups straight from the packed bytes: weights live only in registers. Two groups side by
/// side hide the latency of the sums.
template <int MR, int NG, bool kBytes>
__attribute__((noinline)) void FewBlocksF32(const Panel& panel, int group, const float* a, int64_t lda, const Epilogue& e) {
  constexpr int64_t kCell = kBytes ? 512 : 256;
  Lanes c[NG][MR];
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) c[g][i] = Set(0);
  auto* data = reinterpret_cast<const uint8_t*>(panel.data);
  int64_t blocks = panel.k / kBlock;
  for (int64_t block = 0; block < blocks; block++) {
#pragma GCC unroll 2
    for (int g = 0; g < NG; g++) {
      int64_t cell = block * panel.groups + group + g;
      const float* x = a + block * kBlock;
      ForEachBlockRow<kBytes>(data + cell * kCell, LoadScales(panel, cell), [&](int k, Lanes w) {
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++) c[g][i] = Fma(w, Set(x[i * lda + k]), c[g][i]);
      });
    }
  }
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) Finish(e, i, group + g, c[g][i]);
}

template <bool kBytes>
void FewRowsF32(const Panel& panel, const float* a, int64_t lda, int64_t rows, const Epilogue& e) {
  using Run = void (*)(const Panel&, int, const float*, int64_t, const Epilogue&);
  static constexpr Run one[] = {FewBlocksF32<1, 1, kBytes>, FewBlocksF32<2, 1, kBytes>, FewBlocksF32<3, 1, kBytes>, FewBlocksF32<4, 1, kBytes>};
  static constexpr Run two[] = {FewBlocksF32<1, 2, kBytes>, FewBlocksF32<2, 2, kBytes>, FewBlocksF32<3, 2, kBytes>, FewBlocksF32<4, 2, kBytes>};
  int group = 0;
  for (; group + 2 <= panel.groups; group += 2) two[rows - 1](panel, group, a, lda, e);
  if (group < panel.groups) one[rows - 1](panel, group, a, lda, e);
}

void FewF32(const Panel& panel, const float* a, int64_t lda, int64_t rows, const Epilogue& e) {
  if (panel.type == WeightType::kQ8_0) FewRowsF32<true>(panel, a, lda, rows, e); else FewRowsF32<false>(panel, a, lda, rows, e);
}

#if defined(WINNOW_ISA_AVX512BF16)
/// d and m of outputs 0-7 and 8-15, each twice: lanes 2 r + p, as the packed vectors have them.
struct PairScales {
  __m512 d_low, d_high, m_low, m_high;
};

inline PairScales LoadPairScales(const Panel& panel, int64_t cell) {
  Scales s = LoadScales(panel, cell);
  __m512i low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
  return {_mm512_permutexvar_ps(low, s.d.v), _mm512_permutexvar_ps(high, s.d.v), _mm512_permutexvar_ps(low, s.m.v),
          _mm512_permutexvar_ps(high, s.m.v)};
}

/// Calls put(pair, values) for the 16 k pairs of one block and group, in order.
template <class Put>
inline void ForEachNibblePair(const uint8_t* cell, const PairScales& s, Put put) {
  // A register permute reads only the low 4 bits of each index: it turns a nibble into a float without masking.
  const __m512 values = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    __m512i low = _mm512_loadu_si512(cell + half * 128), high = _mm512_loadu_si512(cell + half * 128 + 64);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      __m512 a = _mm512_fmadd_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(low, 4 * i), values), s.d_low, s.m_low);
      __m512 b = _mm512_fmadd_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(high, 4 * i), values), s.d_high, s.m_high);
      put(half * 8 + i, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a)));
    }
  }
}

template <class Put>
inline void ForEachBytePair(const uint8_t* cell, const PairScales& s, Put put) {
#pragma GCC unroll 4
  for (int pair = 0; pair < 16; pair++) {
    auto* at = reinterpret_cast<const __m128i*>(cell + pair * 32);
    __m512 a = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(at))), s.d_low, s.m_low);
    __m512 b = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(at + 1))), s.d_high, s.m_high);
    put(pair, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a)));
  }
}

/// The same for either kind of block, scales loaded.
template <bool kBytes, class Put>
inline void ForEachPair(const Panel& panel, int64_t cell, Put put) {
  auto* data = reinterpret_cast<const uint8_t*>(panel.data);
  PairScales s = LoadPairScales(panel, cell);
  if constexpr (kBytes) ForEachBytePair(data + cell * 512, s, put); else ForEachNibblePair(data + cell * 256, s, put);
}

/// Plain storage walks all groups at one k: writes halves of pairs.
void UnpackPlainBf16(const Panel& panel, int64_t begin, int64_t end, uint16_t* out) {
  int64_t width = panel.groups * kGroup;
  if (panel.type == WeightType::kBf16) {
    std::memcpy(out, reinterpret_cast<const uint16_t*>(panel.data) + begin * width,
                static_cast<size_t>((end - begin + 1) / 2 * width * 4));
    return;
  }
  for (int64_t k = begin; k < end; k += 2) {
    for (int g = 0; g < panel.groups; g++) {
      __m512i even = _mm512_cvtepu16_epi32(PackBf16_(PlainRow(panel, k, g)));
      __m512i odd = k + 1 < end ? _mm512_cvtepu16_epi32(PackBf16_(PlainRow(panel, k + 1, g))) : _mm512_setzero_si512();
      _mm512_storeu_si512(out + ((k - begin) / 2 * width + g * kGroup) * 2, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
    }
  }
}

void UnpackBf16(const Panel& panel, int64_t begin, int64_t end, uint16_t* out) {
  if (!IsBlockType(panel.type)) return UnpackPlainBf16(panel, begin, end, out);
  int64_t width = panel.groups * kGroup;
  for (int64_t block = begin / kBlock; block < end / kBlock; block++) {
    for (int g = 0; g < panel.groups; g++) {
      uint16_t* at = out + ((block * kBlock - begin) / 2 * width + g * kGroup) * 2;
      auto store = [=](int pair, __m512i w) { _mm512_storeu_si512(at + pair * width * 2, w); };
      int64_t cell = block * panel.groups + g;
      if (panel.type == WeightType::kQ8_0) ForEachPair<true>(panel, cell, store); else ForEachPair<false>(panel, cell, store);
    }
  }
}

inline __m512 Dot(__m512 c, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

/// The same with one pair from memory in all lanes. In assembly: gcc 12 loads the pairs of many steps ahead and then keeps
/// sums on the stack.
inline __m512 DotBroadcast(__m512 c, const uint16_t* pair, __m512i w) {
  struct Two {
    uint16_t v[2];
  };
  __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(w), "m"(*reinterpret_cast<const Two*>(pair)));
  return c;
}

template <int MR, int NV>
__attribute__((noinline)) void TileBf16(const uint16_t* a, int64_t lda, const uint16_t* b, int64_t ldb, int64_t pairs,
                                        int64_t row, int group, const Epilogue& e) {
  __m512 c[MR][NV];
#pragma GCC unroll 8
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) c[i][j] = _mm512_setzero_ps();
  for (int64_t t = 0; t < pairs; t++) {
    __m512i w[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) w[j] = _mm512_loadu_si512(b + t * ldb + j * 2 * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
      int32_t pair;
      std::memcpy(&pair, a + i * lda + 2 * t, 4);
      __m512i x = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) c[i][j] = Dot(c[i][j], x, w[j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) Finish(e, row + i, group + j, Lanes{c[i][j]});
}

using TileBf16Function = void (*)(const uint16_t*, int64_t, const uint16_t*, int64_t, int64_t, int64_t, int, const Epilogue&);

template <int NV>
void RowsBf16(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int64_t ldb, int64_t pairs, const Epilogue& e) {
  static constexpr TileBf16Function rest[] = {nullptr,           TileBf16<1, NV>, TileBf16<2, NV>, TileBf16<3, NV>,
                                              TileBf16<4, NV>, TileBf16<5, NV>};
  int64_t row = 0;
  for (; row + 6 <= rows; row += 6) TileBf16<6, NV>(a + row * lda, lda, b, ldb, pairs, row, 0, e);
  if (row < rows) rest[rows - row](a + row * lda, lda, b, ldb, pairs, row, 0, e);
}

void MultiplyBf16(const uint16_t* a, int64_t lda, int64_t rows, const uint16_t* b, int32_t groups, int64_t pairs,
                  const Epilogue& e) {
  int64_t ldb = groups * kLanes * 2;
  switch (groups) {
    case 1: return RowsBf16<1>(a, lda, rows, b, ldb, pairs, e);
    case 2: return RowsBf16<2>(a, lda, rows, b, ldb, pairs, e);
    case 3: return RowsBf16<3>(a, lda, rows, b, ldb, pairs, e);
    default: return RowsBf16<4>(a, lda, rows, b, ldb, pairs, e);
  }
}

/// Asks for what the loop reads some blocks later: the hardware follows neither the jump to the scales nor page ends.
template <bool kBytes>
inline void PrefetchCell(const Panel& panel, int64_t cell) {
  constexpr int64_t kCell = kBytes ? 512 : 256, kAhead = 4096;
  auto* data = reinterpret_cast<const char*>(panel.data) + cell * kCell + kAhead;
#pragma GCC unroll 8
  for (int64_t line = 0; line < kCell; line += 64) _mm_prefetch(data + line, _MM_HINT_T0);
  int64_t scale_bytes = panel.type == WeightType::kQ4_1 ? 64 : 32;
  _mm_prefetch(reinterpret_cast<const char*>(panel.scales) + (cell + kAhead / kCell) * scale_bytes, _MM_HINT_T0);
}

/// MR rows times all NG groups of a panel straight from the packed bytes: weights live only in registers, bytes are read
/// in order.
template <int MR, int NG, bool kBytes>
__attribute__((noinline)) void FewBlocksBf16(const Panel& panel, const uint16_t* a, int64_t lda, const Epilogue& e) {
  __m512 c[NG][MR];
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) c[g][i] = _mm512_setzero_ps();
  int64_t blocks = panel.k / kBlock;
  for (int64_t block = 0; block < blocks; block++) {
    const uint16_t* x = a + block * kBlock;
#pragma GCC unroll 4
    for (int g = 0; g < NG; g++) {
      int64_t cell = block * NG + g;
      PrefetchCell<kBytes>(panel, cell);
      ForEachPair<kBytes>(panel, cell, [&](int pair, __m512i w) {
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++) c[g][i] = DotBroadcast(c[g][i], x + i * lda + 2 * pair, w);
      });
    }
  }
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) Finish(e, i, g, Lanes{c[g][i]});
}

template <int MR, bool kBytes>
void FewRowsBf16(const Panel& panel, const uint16_t* a, int64_t lda, const Epilogue& e) {
  switch (panel.groups) {
    case 1: return FewBlocksBf16<MR, 1, kBytes>(panel, a, lda, e);
    case 2: return FewBlocksBf16<MR, 2, kBytes>(panel, a, lda, e);
    case 3: return FewBlocksBf16<MR, 3, kBytes>(panel, a, lda, e);
    default: return FewBlocksBf16<MR, 4, kBytes>(panel, a, lda, e);
  }
}

void FewBf16(const Panel& panel, const uint16_t* a, int64_t lda, int64_t rows, const Epilogue& e) {
  using Run = void (*)(const Panel&, const uint16_t*, int64_t, const Epilogue&);
  static constexpr Run nibbles[] = {FewRowsBf16<1, false>, FewRowsBf16<2, false>, FewRowsBf16<3, false>, FewRowsBf16<4, false>};
  static constexpr Run bytes[] = {FewRowsBf16<1, true>, FewRowsBf16<2, true>, FewRowsBf16<3, true>, FewRowsBf16<4, true>};
  (panel.type == WeightType::kQ8_0 ? bytes : nibbles)[rows - 1](panel, a, lda, e);
}
#endif

}  // namespace
}  // namespace WINNOW_ISA

#if defined(WINNOW_ISA_AVX512BF16)
WINNOW_DEFINE_KERNELS(GemmKernels, {&WINNOW_ISA::UnpackF32, &WINNOW_ISA::UnpackBf16, &WINNOW_ISA::MultiplyF32,
                                    &WINNOW_ISA::MultiplyBf16, &WINNOW_ISA::FewF32, &WINNOW_ISA::FewBf16});
#else
WINNOW_DEFINE_KERNELS(GemmKernels, {&WINNOW_ISA::UnpackF32, nullptr, &WINNOW_ISA::MultiplyF32, nullptr, &WINNOW_ISA::FewF32, nullptr});
#endif

}  // namespace winnow
