#include "gemm.h"
#include "gemm_finish.isa.h"
#include "gemm_unpack.isa.h"

/// Products of a decode step: a block's codes are multiplied as they are, its scale and minimum come in once per block.
namespace winnow {
namespace WINNOW_ISA {
namespace {

#if defined(WINNOW_ISA_AVX512BF16)

/// c plus the products of one pair of activations, the same in all lanes, with 16 pairs of weights. In assembly: gcc 12
/// loads the pairs of many steps ahead and then keeps sums on the stack.
inline __attribute__((always_inline)) __m512 DotPair(__m512 c, const uint16_t* pair, __m512i w) {
  struct Two {
    uint16_t v[2];
  };
  __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(w), "m"(*reinterpret_cast<const Two*>(pair)));
  return c;
}

/// Asks for what the loop reads some blocks later: the hardware follows neither the jump to the scales nor page ends.
inline void PrefetchCell(const Panel& panel, int64_t cell, int64_t cell_bytes) {
  constexpr int64_t kAhead = 4096;
  auto* data = reinterpret_cast<const char*>(panel.data) + cell * cell_bytes + kAhead;
  for (int64_t line = 0; line < cell_bytes; line += 64) _mm_prefetch(data + line, _MM_HINT_T0);
  int64_t scale_bytes = panel.type == WeightType::kQ4_1 ? 64 : 32;
  _mm_prefetch(reinterpret_cast<const char*>(panel.scales) + (cell + kAhead / cell_bytes) * scale_bytes, _MM_HINT_T0);
}

/// Sums over the even and over the odd k pairs of a block of x . codes, for MR rows: the codes are exact in bf16. Two sums,
/// because eight rows alone do not hide the latency of the product.
template <int MR, bool kBytes>
inline __attribute__((always_inline)) void DotCodes(const uint8_t* cell, const uint16_t* const (&x)[MR], __m512 (&sum)[2][MR]) {
  if constexpr (kBytes) {
#pragma GCC unroll 16
    for (int pair = 0; pair < 16; pair++) {
      __m512i both = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(cell + pair * 32)));
      __m512i even = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_and_si512(both, _mm512_set1_epi32(255))));
      __m512i odd = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_srli_epi32(both, 8)));
      // Codes below 256 leave the low half of an f32 empty.
      __m512i w = _mm512_or_si512(odd, _mm512_srli_epi32(even, 16));
#pragma GCC unroll 8
      for (int r = 0; r < MR; r++) sum[pair % 2][r] = DotPair(sum[pair % 2][r], x[r] + 2 * pair, w);
    }
  } else {
    // bf16 of 0 to 15, twice: the permute reads 5 bits of each index, the fifth belongs to the next nibble.
    alignas(64) static const uint16_t kCodes[32] = {
        0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0x4100, 0x4110, 0x4120, 0x4130, 0x4140, 0x4150, 0x4160, 0x4170,
        0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0x4100, 0x4110, 0x4120, 0x4130, 0x4140, 0x4150, 0x4160, 0x4170};
    const __m512i codes = _mm512_load_si512(kCodes);
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
      __m512i nibbles = _mm512_loadu_si512(cell + v * 64);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        __m512i w = _mm512_permutexvar_epi16(_mm512_srli_epi16(nibbles, 4 * i), codes);
#pragma GCC unroll 8
        for (int r = 0; r < MR; r++) sum[i % 2][r] = DotPair(sum[i % 2][r], x[r] + 8 * v + 2 * i, w);
      }
    }
  }
}

template <int MR, bool kBytes>
__attribute__((noinline)) void StepRows(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t row,
                                        const Epilogue& e) {
  constexpr int64_t kCell = kBytes ? 512 : 256;
  __m512 total[kPanelWidth / kGroup][MR];
  for (int g = 0; g < panel.groups; g++)
    for (int r = 0; r < MR; r++) total[g][r] = _mm512_setzero_ps();
  auto* data = reinterpret_cast<const uint8_t*>(panel.data);
  int64_t blocks = panel.k / kBlock;
  for (int64_t block = 0; block < blocks; block++) {
    const uint16_t* x[MR];
#pragma GCC unroll 8
    for (int r = 0; r < MR; r++) x[r] = a + r * lda + block * kBlock;
    for (int g = 0; g < panel.groups; g++) {
      int64_t cell = block * panel.groups + g;
      PrefetchCell(panel, cell, kCell);
      __m512 sum[2][MR];
#pragma GCC unroll 8
      for (int r = 0; r < MR; r++) sum[0][r] = sum[1][r] = _mm512_setzero_ps();
      // Hides that the addresses stay the same, or gcc 12 keeps one for each row and pair on the stack.
#pragma GCC unroll 8
      for (int r = 0; r < MR; r++) __asm__("" : "+r"(x[r]));
      DotCodes<MR, kBytes>(data + cell * kCell, x, sum);
      Scales s = LoadScales(panel, cell);
#pragma GCC unroll 8
      for (int r = 0; r < MR; r++) {
        __m512 scaled = _mm512_fmadd_ps(_mm512_add_ps(sum[0][r], sum[1][r]), s.d.v, total[g][r]);
        total[g][r] = _mm512_fmadd_ps(s.m.v, _mm512_set1_ps(sums[r * blocks + block]), scaled);
      }
    }
  }
  for (int g = 0; g < panel.groups; g++)
    for (int r = 0; r < MR; r++) Finish(e, row + r, g, Lanes{total[g][r]});
}

template <bool kBytes>
void AllRows(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t rows, const Epilogue& e) {
  using Run = void (*)(const Panel&, const uint16_t*, int64_t, const float*, int64_t, const Epilogue&);
  static constexpr Run rest[] = {nullptr,             StepRows<1, kBytes>, StepRows<2, kBytes>, StepRows<3, kBytes>,
                                 StepRows<4, kBytes>, StepRows<5, kBytes>, StepRows<6, kBytes>, StepRows<7, kBytes>};
  int64_t blocks = panel.k / kBlock, row = 0;
  for (; row + 8 <= rows; row += 8) StepRows<8, kBytes>(panel, a + row * lda, lda, sums + row * blocks, row, e);
  if (row < rows) rest[rows - row](panel, a + row * lda, lda, sums + row * blocks, row, e);
}

void Multiply(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t rows, const Epilogue& e) {
  if (panel.type == WeightType::kQ8_0) AllRows<true>(panel, a, lda, sums, rows, e); else AllRows<false>(panel, a, lda, sums, rows, e);
}

void BlockSums(const uint16_t* x, int64_t blocks, float* sums) {
  const __m512i ones = _mm512_set1_epi32(0x3f803f80);
  for (int64_t b = 0; b < blocks; b++) {
    __m512i v = _mm512_loadu_si512(x + b * kBlock);
    sums[b] = Sum(Lanes{_mm512_dpbf16_ps(_mm512_setzero_ps(), reinterpret_cast<__m512bh>(v), reinterpret_cast<__m512bh>(ones))});
  }
}

#endif

}  // namespace
}  // namespace WINNOW_ISA

#if defined(WINNOW_ISA_AVX512BF16)
WINNOW_DEFINE_KERNELS(StepKernels, {&WINNOW_ISA::BlockSums, &WINNOW_ISA::Multiply});
#else
WINNOW_DEFINE_KERNELS(StepKernels, {nullptr, nullptr});
#endif

}  // namespace winnow
