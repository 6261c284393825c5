#include "gemm.h"
#include "gemm_finish.isa.h"
#include "gemm_unpack.isa.h"
#include "numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

void UnpackF32(const Panel& panel, int64_t begin, int64_t end, float* out) {
  int64_t width = panel.groups * kGroup;
  if (!IsBlockType(panel.type)) {
    for (int64_t k = begin; k < end; k++)
      for (int g = 0; g < panel.groups; g++) Store(out + (k - begin) * width + g * kGroup, PlainRow(panel, k, g));
    return;
  }
  WithCodes(panel.type, [&](auto tag) {
    for (int64_t block = begin / kBlock; block < end / kBlock; block++) {
      for (int g = 0; g < panel.groups; g++) {
        float* at = out + (block * kBlock - begin) * width + g * kGroup;
        ForEachBlockRow<tag.kCodes>(panel, block, g, [=](int k, Lanes w) { Store(at + k * width, w); });
      }
    }
  });
}

// ---- multiply: register blocks of MR rows x NV vectors ----

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
  WithCodes(panel.type, [&](auto tag) {
    for (int64_t block = begin / kBlock; block < end / kBlock; block++) {
      for (int g = 0; g < panel.groups; g++) {
        uint16_t* at = out + ((block * kBlock - begin) / 2 * width + g * kGroup) * 2;
        ForEachPair<tag.kCodes>(panel, block, g, [=](int pair, __m512i w) { _mm512_storeu_si512(at + pair * width * 2, w); });
      }
    }
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
                                    &WINNOW_ISA::MultiplyBf16});
#else
WINNOW_DEFINE_KERNELS(GemmKernels, {&WINNOW_ISA::UnpackF32, nullptr, &WINNOW_ISA::MultiplyF32, nullptr});
#endif

}  // namespace winnow
