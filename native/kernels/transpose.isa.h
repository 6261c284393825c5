/// Transposes for packing, for .isa.cpp files only: rows of 32-bit items become columns.
#pragma once

#include <cstdint>
#include <cstring>

#include "numerics.h"

namespace winnow::WINNOW_ISA {

#if defined(WINNOW_ISA_AVX512)
/// Sixteen rows of sixteen dwords become sixteen columns, in registers.
static inline __attribute__((always_inline)) void Transpose16(__m512i (&rows)[16]) {
  __m512i a[16];
  __m512i b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
  // b[4 i + c] holds columns c, c + 4, c + 8, c + 12 (one a 128-bit lane) of rows 4 i to 4 i + 3.
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    const __m512i low0 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88);
    const __m512i high0 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd);
    const __m512i low1 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88);
    const __m512i high1 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
    rows[c] = _mm512_shuffle_i32x4(low0, low1, 0x88);
    rows[c + 4] = _mm512_shuffle_i32x4(high0, high1, 0x88);
    rows[c + 8] = _mm512_shuffle_i32x4(low0, low1, 0xdd);
    rows[c + 12] = _mm512_shuffle_i32x4(high0, high1, 0xdd);
  }
}
/// The same into memory: out[c * stride + r] = rows[r][c].
static inline __attribute__((always_inline)) void StoreTransposed16(__m512i (&rows)[16], uint32_t* out, int64_t stride) {
  Transpose16(rows);
#pragma GCC unroll 16
  for (int c = 0; c < 16; c++) _mm512_storeu_si512(out + c * stride, rows[c]);
}
#elif defined(WINNOW_ISA_AVX2)
/// Eight rows of eight dwords.
static inline void Transpose8(const __m256 (&rows)[8], float* out, int64_t stride) {
  __m256 a[8];
  __m256 b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
    b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xee);
    b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
    b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    _mm256_storeu_ps(out + c * stride, _mm256_permute2f128_ps(b[c], b[4 + c], 0x20));
    _mm256_storeu_ps(out + (c + 4) * stride, _mm256_permute2f128_ps(b[c], b[4 + c], 0x31));
  }
}
#endif

/// Panel of 64 entries: out[c * 64 + e] = dword c of rows[e], zero for e >= count. Rows need only 4-byte alignment.
static inline void PackColumns(const void* const* rows, int32_t count, int32_t dwords, void* panel) {
  auto* out = static_cast<uint32_t*>(panel);
#if defined(WINNOW_ISA_AVX512)
  for (int32_t e = 0; e < 64; e += 16) {
    const int32_t here = count - e;
    int32_t c = 0;
    for (; here >= 16 && c + 16 <= dwords; c += 16) {
      __m512i block[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) block[i] = _mm512_loadu_si512(static_cast<const uint32_t*>(rows[e + i]) + c);
      StoreTransposed16(block, out + c * 64 + e, 64);
    }
    for (; c < dwords; c += 16) {
      const int32_t left = dwords - c < 16 ? dwords - c : 16;
      const __mmask16 mask = FirstLanes_(left);
      __m512i block[16];
      for (int i = 0; i < 16; i++) {
        block[i] = i < here ? _mm512_maskz_loadu_epi32(mask, static_cast<const uint32_t*>(rows[e + i]) + c)
                            : _mm512_setzero_si512();
      }
      alignas(64) uint32_t columns[16 * 16];
      StoreTransposed16(block, columns, 16);
      for (int32_t k = 0; k < left; k++) std::memcpy(out + (c + k) * 64 + e, columns + k * 16, 64);
    }
  }
#elif defined(WINNOW_ISA_AVX2)
  for (int32_t e = 0; e < 64; e += 8) {
    for (int32_t c = 0; c < dwords; c += 8) {  // dwords % 8 == 0: f32 rows only
      __m256 block[8];
      for (int i = 0; i < 8; i++) {
        block[i] = e + i < count ? _mm256_loadu_ps(static_cast<const float*>(rows[e + i]) + c) : _mm256_setzero_ps();
      }
      Transpose8(block, static_cast<float*>(panel) + c * 64 + e, 64);
    }
  }
  (void)out;
#else
  for (int32_t e = 0; e < 64; e++) {
    for (int32_t c = 0; c < dwords; c++) {
      uint32_t item = 0;
      if (e < count) std::memcpy(&item, static_cast<const uint32_t*>(rows[e]) + c, 4);
      out[c * 64 + e] = item;
    }
  }
#endif
}

}  // namespace winnow::WINNOW_ISA
