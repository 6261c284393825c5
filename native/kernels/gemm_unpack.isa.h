#pragma once

#include "gemm.h"
#include "numerics.h"

/// Packed panel -> vectors of 16 weights, in registers. For files compiled per instruction set.
namespace winnow::WINNOW_ISA {
namespace {

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

/// 16 signed or unsigned bytes as floats.
template <bool kSigned>
inline Lanes LoadSmall(const uint8_t* p) {
#if defined(WINNOW_ISA_AVX512)
  __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(kSigned ? _mm512_cvtepi8_epi32(x) : _mm512_cvtepu8_epi32(x))};
#elif defined(WINNOW_ISA_AVX2)
  auto side = [](const uint8_t* at) {
    __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
    return _mm256_cvtepi32_ps(kSigned ? _mm256_cvtepi8_epi32(x) : _mm256_cvtepu8_epi32(x));
  };
  return {side(p), side(p + 8)};
#else
  Lanes r;
  for (int i = 0; i < kLanes; i++) r.v[i] = kSigned ? static_cast<float>(static_cast<int8_t>(p[i])) : static_cast<float>(p[i]);
  return r;
#endif
}

/// Scales of cell `cell` of a record (weight_types.h), of half of it for Q6_K.
template <WeightType kType>
inline __attribute__((always_inline)) Scales ScalesOf(const std::byte* record, int64_t cell, int half) {
  auto* small = reinterpret_cast<const uint8_t*>(record);
  Lanes d = LoadF16(reinterpret_cast<const uint16_t*>(record));
  if constexpr (kType == WeightType::kIQ4_NL) return {d, Set(0)};
  if constexpr (kType == WeightType::kQ8_0) return {d, Mul(Set(-128.f), d)};
  if constexpr (kType == WeightType::kQ4_0) return {d, Mul(Set(-8.f), d)};
  if constexpr (kType == WeightType::kQ5_0) return {d, Mul(Set(-16.f), d)};
  if constexpr (kType == WeightType::kQ6_K) {
    d = Mul(d, LoadSmall<true>(small + 32 + (cell * 2 + half) * 16));
    return {d, Mul(Set(-32.f), d)};
  }
  Lanes least = LoadF16(reinterpret_cast<const uint16_t*>(record) + kGroup);
  if constexpr (kType == WeightType::kQ4_K || kType == WeightType::kQ5_K) {
    const uint8_t* at = small + 64 + cell * 32;
    return {Mul(d, LoadSmall<false>(at)), Mul(least, LoadSmall<false>(at + 16))};
  }
  return {d, least};
}

template <WeightType kValue>
struct TypeTag {
  static constexpr WeightType kType = kValue;
};
/// Calls run(tag) with a block type as a constant.
template <class Run>
inline __attribute__((always_inline)) auto WithType(WeightType type, Run run) {
  switch (type) {
    case WeightType::kQ8_0: return run(TypeTag<WeightType::kQ8_0>());
    case WeightType::kQ4_0: return run(TypeTag<WeightType::kQ4_0>());
    case WeightType::kQ5_0: return run(TypeTag<WeightType::kQ5_0>());
    case WeightType::kQ5_1: return run(TypeTag<WeightType::kQ5_1>());
    case WeightType::kIQ4_NL: return run(TypeTag<WeightType::kIQ4_NL>());
    case WeightType::kQ4_K: return run(TypeTag<WeightType::kQ4_K>());
    case WeightType::kQ5_K: return run(TypeTag<WeightType::kQ5_K>());
    case WeightType::kQ6_K: return run(TypeTag<WeightType::kQ6_K>());
    default: return run(TypeTag<WeightType::kQ4_1>());
  }
}

inline Scales LoadScales(const Panel& panel, int64_t block, int group, int half) {
  const std::byte* record = panel.record(block, group);
  return WithType(panel.type, [&](auto tag) { return ScalesOf<tag.kType>(record, block % RecordCells(tag.kType), half); });
}

/// Nibbles are not shifted into place: nibble i of a half word is q * 16^i, and fma(q * 16^i, d / 16^i, m) is the same
/// number as fma(q, d, m), rounded once. Both scalings are exact.
struct NibbleScales {
  Lanes d[4], m;  ///< d / 16^i
};
inline NibbleScales ForNibbles(Scales s, float step = 0.0625f) {
  Lanes each = Set(step), d1 = Mul(s.d, each), d2 = Mul(d1, each);
  return {{s.d, d1, d2, Mul(d2, each)}, s.m};
}
/// The same for codes of 5 and 6 bits: d / 32^i, d / 64^i.
template <Codes kCodes>
inline NibbleScales ForWideCodes(Scales s) {
  return ForNibbles(s, kCodes == Codes::kSix ? 0x1p-6f : 0x1p-5f);
}

/// 16 words, one per output: the nibbles of 8 k (see Panel).
#if defined(WINNOW_ISA_AVX512)
struct Words {
  __m512i v;
};
inline Words LoadNibbles(const uint8_t* at) { return {_mm512_loadu_si512(at)}; }
inline Words HighHalves(Words w) { return {_mm512_srli_epi32(w.v, 16)}; }
inline Lanes NibbleInPlace(Words w, int i) {
  return {_mm512_cvtepi32_ps(_mm512_and_si512(w.v, _mm512_set1_epi32(15 << (4 * i))))};
}
#elif defined(WINNOW_ISA_AVX2)
struct Words {
  __m256i low, high;
};
inline Words LoadNibbles(const uint8_t* at) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32))};
}
inline Words HighHalves(Words w) { return {_mm256_srli_epi32(w.low, 16), _mm256_srli_epi32(w.high, 16)}; }
inline Lanes NibbleInPlace(Words w, int i) {
  __m256i mask = _mm256_set1_epi32(15 << (4 * i));
  return {_mm256_cvtepi32_ps(_mm256_and_si256(w.low, mask)), _mm256_cvtepi32_ps(_mm256_and_si256(w.high, mask))};
}
#else
struct Words {
  uint32_t v[kLanes];
};
inline Words LoadNibbles(const uint8_t* at) {
  Words w;
  std::memcpy(w.v, at, sizeof w.v);
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

#include "gemm_unpack_wide.isa.h"

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
template <Codes kCodes, class Put>
inline void ForEachBlockRow(const Panel& panel, int64_t block, int group, Put put) {
  auto* cell = reinterpret_cast<const uint8_t*>(panel.cell(block, group));
  Scales s = LoadScales(panel, block, group, 0);
  if constexpr (kCodes == Codes::kBytes) {
#pragma GCC unroll 2
    for (int pair = 0; pair < 16; pair++) {
      put(2 * pair, Fma(ByteRow(cell + pair * 32, 0), s.d, s.m));
      put(2 * pair + 1, Fma(ByteRow(cell + pair * 32, 1), s.d, s.m));
    }
  } else if constexpr (kCodes == Codes::kFive || kCodes == Codes::kSix) {
    for (int part = 0; part < PartsOf(kCodes); part++) {
      NibbleScales n = ForWideCodes<kCodes>(part == 0 ? s : LoadScales(panel, block, group, part));
      ForEachWideCode<kCodes>(cell, part, [&](int pair, int field, Lanes even, Lanes odd) {
        put(2 * pair, Fma(even, n.d[field], n.m));
        put(2 * pair + 1, Fma(odd, n.d[field], n.m));
      });
    }
  } else if constexpr (kCodes == Codes::kTable) {
    for (int v = 0; v < 4; v++) {
      Words even = LoadNibbles(cell + v * 64), odd = HighHalves(even);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        put(8 * v + 2 * i, Fma(TableValue(even, i), s.d, s.m));
        put(8 * v + 2 * i + 1, Fma(TableValue(odd, i), s.d, s.m));
      }
    }
  } else {
    NibbleScales n = ForNibbles(s);
    for (int v = 0; v < 4; v++) {
      Words even = LoadNibbles(cell + v * 64), odd = HighHalves(even);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        put(8 * v + 2 * i, Fma(NibbleInPlace(even, i), n.d[i], n.m));
        put(8 * v + 2 * i + 1, Fma(NibbleInPlace(odd, i), n.d[i], n.m));
      }
    }
  }
}

#if defined(WINNOW_ISA_AVX512BF16)
/// d and m of outputs 0-7 and 8-15, each twice: lanes 2 r + p, as the packed vectors have them.
struct PairScales {
  __m512 d_low, d_high, m_low, m_high;
};

inline PairScales LoadPairScales(Scales s) {
  __m512i low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
  return {_mm512_permutexvar_ps(low, s.d.v), _mm512_permutexvar_ps(high, s.d.v), _mm512_permutexvar_ps(low, s.m.v),
          _mm512_permutexvar_ps(high, s.m.v)};
}

/// Calls put(pair, values) for the 16 k pairs of one block and group, in order.
template <Codes kCodes, class Put>
inline void ForEachNibblePair(const uint8_t* cell, const Scales& s, Put put) {
  // A register permute reads only the low 4 bits of each index: it turns a nibble into a float without masking.
  const __m512 values = kCodes == Codes::kTable ? TableFloats() : _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i words = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i interleave = _mm512_or_si512(words, _mm512_slli_epi32(_mm512_add_epi32(words, _mm512_set1_epi32(16)), 16));
#pragma GCC unroll 4
  for (int v = 0; v < 4; v++) {
    __m512i nibbles = _mm512_loadu_si512(cell + v * 64);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      __m512 even = _mm512_fmadd_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(nibbles, 4 * i), values), s.d.v, s.m.v);
      __m512 odd = _mm512_fmadd_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(nibbles, 4 * i + 16), values), s.d.v, s.m.v);
      put(v * 4 + i, _mm512_permutexvar_epi16(interleave, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd, even))));
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

/// Codes of 5 and 6 bits.
template <Codes kCodes, class Put>
inline void ForEachWidePair(const Panel& panel, int64_t block, int group, const uint8_t* cell, Put put) {
  const __m512i words = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i interleave = _mm512_or_si512(words, _mm512_slli_epi32(_mm512_add_epi32(words, _mm512_set1_epi32(16)), 16));
  for (int part = 0; part < PartsOf(kCodes); part++) {
    NibbleScales n = ForWideCodes<kCodes>(LoadScales(panel, block, group, part));
    ForEachWideCode<kCodes>(cell, part, [&](int pair, int field, Lanes even, Lanes odd) {
      __m512 a = Fma(even, n.d[field], n.m).v, b = Fma(odd, n.d[field], n.m).v;
      put(pair, _mm512_permutexvar_epi16(interleave, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a))));
    });
  }
}

/// The same for every kind of codes, scales loaded.
template <Codes kCodes, class Put>
inline void ForEachPair(const Panel& panel, int64_t block, int group, Put put) {
  auto* cell = reinterpret_cast<const uint8_t*>(panel.cell(block, group));
  if constexpr (kCodes == Codes::kBytes) {
    ForEachBytePair(cell, LoadPairScales(LoadScales(panel, block, group, 0)), put);
  } else if constexpr (kCodes == Codes::kFive || kCodes == Codes::kSix) {
    ForEachWidePair<kCodes>(panel, block, group, cell, put);
  } else {
    ForEachNibblePair<kCodes>(cell, LoadScales(panel, block, group, 0), put);
  }
}
#endif

template <Codes kValue>
struct CodesTag {
  static constexpr Codes kCodes = kValue;
};
/// Calls run(tag) with the kind of a block type's codes as a constant.
template <class Run>
inline void WithCodes(WeightType type, Run run) {
  switch (CodesOf(type)) {
    case Codes::kNibbles: return run(CodesTag<Codes::kNibbles>());
    case Codes::kTable: return run(CodesTag<Codes::kTable>());
    case Codes::kFive: return run(CodesTag<Codes::kFive>());
    case Codes::kSix: return run(CodesTag<Codes::kSix>());
    case Codes::kBytes: return run(CodesTag<Codes::kBytes>());
  }
}

}  // namespace
}  // namespace winnow::WINNOW_ISA
