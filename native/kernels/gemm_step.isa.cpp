#include "gemm.h"
#include "gemm_ahead.isa.h"
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

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

/// bf16 of what 32 codes stand for; fewer codes are there twice, because the permute that looks them up reads 5 bits and the
/// fifth belongs to the next nibble.
template <Codes kCodes>
inline __m512i CodeTable() {
  alignas(64) static const uint16_t kLinear[32] = {
      0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0x4100, 0x4110, 0x4120, 0x4130, 0x4140, 0x4150, 0x4160, 0x4170,
      0x4180, 0x4188, 0x4190, 0x4198, 0x41a0, 0x41a8, 0x41b0, 0x41b8, 0x41c0, 0x41c8, 0x41d0, 0x41d8, 0x41e0, 0x41e8, 0x41f0, 0x41f8};
  if constexpr (kCodes == Codes::kFive) return _mm512_load_si512(kLinear);
  if constexpr (kCodes == Codes::kTable) {
    __m256i values = PackBf16_(Lanes{TableFloats()});
    return _mm512_inserti64x4(_mm512_castsi256_si512(values), values, 1);
  }
  return _mm512_broadcast_i64x4(_mm256_load_si256(reinterpret_cast<const __m256i*>(kLinear)));
}

/// bf16 of code - 32 for the 64 codes of six bits.
struct SixBitTable {
  __m512i low, high;
};
inline SixBitTable SignedSixBits() {
  __m512 first = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  auto from = [&](float start) { return PackBf16_(Lanes{_mm512_add_ps(first, _mm512_set1_ps(start))}); };
  return {_mm512_inserti64x4(_mm512_castsi256_si512(from(-32)), from(-16), 1), _mm512_inserti64x4(_mm512_castsi256_si512(from(0)), from(16), 1)};
}

/// Sums over the even and over the odd k pairs of one part of a block of x . codes, for MR rows: the codes are exact in bf16.
/// Two sums, because eight rows alone do not hide the latency of the product. Six bits have two parts of 16 k, each with a
/// scale of its own and codes less 32, all others one.
template <int MR, Codes kCodes>
inline __attribute__((always_inline)) void DotCodes(const uint8_t* cell, int part, const uint16_t* const (&x)[MR], __m512 (&sum)[2][MR]) {
  if constexpr (kCodes == Codes::kBytes) {
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
  } else if constexpr (kCodes == Codes::kSix) {
    const SixBitTable table = SignedSixBits();
    const uint8_t* at = cell + part * 192;
    __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + 64), third = _mm512_loadu_si512(at + 128);
    auto dot = [&](auto pair_tag, __m512i index) {
      constexpr int pair = pair_tag.value;
      __m512i w = _mm512_permutex2var_epi16(table.low, index, table.high);  // reads 6 bits of each index
#pragma GCC unroll 8
      for (int r = 0; r < MR; r++) sum[pair % 2][r] = DotPair(sum[pair % 2][r], x[r] + 16 * part + 2 * pair, w);
    };
    dot(Constant<0>(), first), dot(Constant<1>(), _mm512_srli_epi16(first, 6));
    dot(Constant<2>(), second), dot(Constant<3>(), _mm512_srli_epi16(second, 6));
    dot(Constant<4>(), third), dot(Constant<5>(), _mm512_srli_epi16(third, 6));
    // A nibble below, two bits of the third word above.
    const __m512i nibble = _mm512_set1_epi16(15);
    dot(Constant<6>(), _mm512_ternarylogic_epi32(_mm512_srli_epi16(first, 12), _mm512_srli_epi16(third, 8), nibble, 0xe4));
    dot(Constant<7>(), _mm512_ternarylogic_epi32(_mm512_srli_epi16(second, 12), _mm512_srli_epi16(third, 10), nibble, 0xe4));
  } else if constexpr (kCodes == Codes::kFive) {
    const __m512i codes = CodeTable<kCodes>();
    __m512i last = _mm512_setzero_si512();
    auto dot = [&](auto pair_tag, __m512i index) {
      constexpr int pair = pair_tag.value;
      __m512i w = _mm512_permutexvar_epi16(index, codes);  // reads 5 bits of each index
#pragma GCC unroll 8
      for (int r = 0; r < MR; r++) sum[pair % 2][r] = DotPair(sum[pair % 2][r], x[r] + 2 * pair, w);
    };
    auto word = [&](auto j_tag) {
      constexpr int j = j_tag.value;
      __m512i three = _mm512_loadu_si512(cell + j * 64);
      dot(Constant<3 * j>(), three);
      dot(Constant<3 * j + 1>(), _mm512_srli_epi16(three, 5));
      dot(Constant<3 * j + 2>(), _mm512_srli_epi16(three, 10));
      // Bit j of the last pair's codes.
      last = _mm512_ternarylogic_epi32(last, _mm512_srli_epi16(three, 15 - j), _mm512_set1_epi16(1 << j), 0xd8);
    };
    word(Constant<0>()), word(Constant<1>()), word(Constant<2>()), word(Constant<3>()), word(Constant<4>());
    dot(Constant<15>(), last);
  } else {
    const __m512i codes = CodeTable<kCodes>();
    auto word = [&](auto v_tag) {
      constexpr int v = v_tag.value;
      __m512i nibbles = _mm512_loadu_si512(cell + v * 64);
      auto four = [&](auto i_tag) {
        constexpr int i = i_tag.value;
        __m512i w = _mm512_permutexvar_epi16(_mm512_srli_epi16(nibbles, 4 * i), codes);
#pragma GCC unroll 8
        for (int r = 0; r < MR; r++) sum[i % 2][r] = DotPair(sum[i % 2][r], x[r] + 8 * v + 2 * i, w);
      };
      four(Constant<0>()), four(Constant<1>()), four(Constant<2>()), four(Constant<3>());
    };
    word(Constant<0>()), word(Constant<1>()), word(Constant<2>()), word(Constant<3>());
  }
}

template <int MR, WeightType kType>
__attribute__((noinline)) void StepRows(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t row,
                                        const Epilogue& e) {
  constexpr Codes kCodes = CodesOf(kType);
  constexpr int kParts = PartsOf(kCodes);
  const int groups = panel.groups;
  __m512 total[kPanelWidth / kGroup][MR];
  for (int g = 0; g < groups; g++)
    for (int r = 0; r < MR; r++) total[g][r] = _mm512_setzero_ps();
  int64_t blocks = panel.k / kBlock;
  const std::byte *at = panel.data, *records = nullptr;
  for (int64_t block = 0; block < blocks; block++) {
    const uint16_t* x[MR];
#pragma GCC unroll 8
    for (int r = 0; r < MR; r++) x[r] = a + r * lda + block * kBlock;
    const int64_t of_record = block % RecordCells(kType);
    if (of_record == 0) {
      records = at;
      at += groups * RecordBytes(kType);
    }
    for (int g = 0; g < groups; g++, at += CellBytes(kCodes)) {
      AskAhead<kCodes>(at);
#pragma GCC unroll 2
      for (int part = 0; part < kParts; part++) {
        __m512 sum[2][MR];
#pragma GCC unroll 8
        for (int r = 0; r < MR; r++) sum[0][r] = sum[1][r] = _mm512_setzero_ps();
        // Hides that the addresses stay the same, or gcc 12 keeps one for each row and pair on the stack.
#pragma GCC unroll 8
        for (int r = 0; r < MR; r++) __asm__("" : "+r"(x[r]));
        DotCodes<MR, kCodes>(reinterpret_cast<const uint8_t*>(at), part, x, sum);
        Scales s = ScalesOf<kType>(records + g * RecordBytes(kType), of_record, part);
#pragma GCC unroll 8
        for (int r = 0; r < MR; r++) {
          total[g][r] = _mm512_fmadd_ps(_mm512_add_ps(sum[0][r], sum[1][r]), s.d.v, total[g][r]);
          if constexpr (kCodes != Codes::kSix) total[g][r] = _mm512_fmadd_ps(s.m.v, _mm512_set1_ps(sums[r * blocks + block]), total[g][r]);
        }
      }
    }
  }
  for (int g = 0; g < groups; g++)
    for (int r = 0; r < MR; r++) Finish(e, row + r, g, Lanes{total[g][r]});
}

template <WeightType kType>
void AllRows(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t rows, const Epilogue& e) {
  using Run = void (*)(const Panel&, const uint16_t*, int64_t, const float*, int64_t, const Epilogue&);
  static constexpr Run rest[] = {nullptr,            StepRows<1, kType>, StepRows<2, kType>, StepRows<3, kType>,
                                 StepRows<4, kType>, StepRows<5, kType>, StepRows<6, kType>, StepRows<7, kType>};
  int64_t blocks = panel.k / kBlock, row = 0;
  for (; row + 8 <= rows; row += 8) StepRows<8, kType>(panel, a + row * lda, lda, sums + row * blocks, row, e);
  if (row < rows) rest[rows - row](panel, a + row * lda, lda, sums + row * blocks, row, e);
}

void Multiply(const Panel& panel, const uint16_t* a, int64_t lda, const float* sums, int64_t rows, const Epilogue& e) {
  WithType(panel.type, [&](auto tag) { AllRows<tag.kType>(panel, a, lda, sums, rows, e); });
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
