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

/// Values of 16 outputs at one k, from the nibble vectors of a half block (see Panel).
inline Lanes NibbleRow(const uint8_t* half, int i, int p) {
#if defined(WINNOW_ISA_AVX512)
  __m512i low = _mm512_loadu_si512(half), high = _mm512_loadu_si512(half + 64);
  __m512i pick = _mm512_add_epi32(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                                  _mm512_set1_epi32(p));
  __m512i lanes = _mm512_permutex2var_epi32(low, pick, high);
  __m512i q = _mm512_and_si512(_mm512_srlv_epi32(lanes, _mm512_set1_epi32(4 * i)), _mm512_set1_epi32(15));
  return {_mm512_cvtepi32_ps(q)};
#elif defined(WINNOW_ISA_AVX2)
  auto side = [&](const uint8_t* at) {  // 8 outputs: lanes 2 r + p of two registers
    __m256 a = _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
    __m256 b = _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32)));
    __m256 mixed = p == 0 ? _mm256_shuffle_ps(a, b, 0x88) : _mm256_shuffle_ps(a, b, 0xdd);
    __m256i lanes = _mm256_permute4x64_epi64(_mm256_castps_si256(mixed), 0xd8);
    __m256i q = _mm256_and_si256(_mm256_srlv_epi32(lanes, _mm256_set1_epi32(4 * i)), _mm256_set1_epi32(15));
    return _mm256_cvtepi32_ps(q);
  };
  return {side(half), side(half + 64)};
#else
  Lanes r;
  for (int o = 0; o < kLanes; o++) {
    uint32_t lane;
    std::memcpy(&lane, half + o / 8 * 64 + ((o % 8) * 2 + p) * 4, 4);
    r.v[o] = static_cast<float>(lane >> (4 * i) & 15u);
  }
  return r;
#endif
}

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

/// Calls put(k, group, values) for every k in [begin, end) and group, in an order that suits the storage.
template <class Put>
inline void ForEachRow(const Panel& panel, int64_t begin, int64_t end, Put put) {
  auto* data = reinterpret_cast<const uint8_t*>(panel.data);
  if (!IsBlockType(panel.type)) {
    for (int64_t k = begin; k < end; k++)
      for (int g = 0; g < panel.groups; g++) put(k - begin, g, PlainRow(panel, k, g));
    return;
  }
  for (int64_t block = begin / kBlock; block < end / kBlock; block++) {
    for (int g = 0; g < panel.groups; g++) {
      int64_t cell = block * panel.groups + g, k = block * kBlock - begin;
      Scales s = LoadScales(panel, cell);
      if (panel.type == WeightType::kQ8_0) {
        for (int pair = 0; pair < 16; pair++)
          for (int p = 0; p < 2; p++) put(k + 2 * pair + p, g, Fma(ByteRow(data + cell * 512 + pair * 32, p), s.d, s.m));
      } else {
        for (int half = 0; half < 2; half++)
          for (int i = 0; i < 8; i++)
            for (int p = 0; p < 2; p++)
              put(k + 16 * half + 2 * i + p, g, Fma(NibbleRow(data + cell * 256 + half * 128, i, p), s.d, s.m));
      }
    }
  }
}

void UnpackF32(const Panel& panel, int64_t begin, int64_t end, float* out) {
  int64_t width = panel.groups * kGroup;
  ForEachRow(panel, begin, end, [=](int64_t k, int g, Lanes w) { Store(out + k * width + g * kGroup, w); });
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

#if defined(WINNOW_ISA_AVX512BF16)
void UnpackBf16(const Panel& panel, int64_t begin, int64_t end, uint16_t* out) {
  int64_t width = panel.groups * kGroup;
  if (panel.type == WeightType::kBf16) {
    std::memcpy(out, reinterpret_cast<const uint16_t*>(panel.data) + begin * width,
                static_cast<size_t>((end - begin + 1) / 2 * width * 4));
    return;
  }
  if (end % 2 == 1) {  // the second half of the last pair
    uint16_t* last = out + (end - begin) / 2 * width * 2;
    for (int64_t i = 0; i < width; i++) last[2 * i + 1] = 0;
  }
  Lanes even = Set(0);
  ForEachRow(panel, begin, end, [&](int64_t k, int g, Lanes w) {
    if (!IsBlockType(panel.type)) {
      // Plain storage walks all groups at one k: write halves of pairs.
      alignas(32) uint16_t half[kLanes];
      StoreBf16(half, w);
      uint16_t* at = out + (k / 2 * width + g * kGroup) * 2 + k % 2;
      for (int i = 0; i < kLanes; i++) at[2 * i] = half[i];
      return;
    }
    if (k % 2 == 0) {
      even = w;
      return;
    }
    __m512i low = _mm512_cvtepu16_epi32(PackBf16_(even)), high = _mm512_cvtepu16_epi32(PackBf16_(w));
    _mm512_storeu_si512(out + (k / 2 * width + g * kGroup) * 2, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  });
}

inline __m512 Dot(__m512 c, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
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
#endif

}  // namespace
}  // namespace WINNOW_ISA

#if defined(WINNOW_ISA_AVX512BF16)
WINNOW_DEFINE_KERNELS(GemmKernels, {&WINNOW_ISA::UnpackF32, &WINNOW_ISA::UnpackBf16, &WINNOW_ISA::MultiplyF32,
                                    &WINNOW_ISA::MultiplyBf16, nullptr, nullptr});
#else
WINNOW_DEFINE_KERNELS(GemmKernels, {&WINNOW_ISA::UnpackF32, nullptr, &WINNOW_ISA::MultiplyF32, nullptr, nullptr, nullptr});
#endif

}  // namespace winnow
