#include "gemm.h"
#include "gemm_ahead.isa.h"
#include "gemm_finish.isa.h"
#include "gemm_unpack.isa.h"

/// Products of a few rows: weights are unpacked in registers and used at once.
namespace winnow {
namespace WINNOW_ISA {
namespace {

/// MR rows times one, two or four groups straight from the packed bytes: weights live only in registers. Groups side by
/// side hide the latency of the sums, and four of them are read in the order in which they lie.
template <int MR, int NG, Codes kCodes>
__attribute__((noinline)) void FewBlocksF32(const Panel& panel, int group, const float* a, int64_t lda, const Epilogue& e) {
  Lanes c[NG][MR];
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) c[g][i] = Set(0);
  int64_t blocks = panel.k / kBlock;
  for (int64_t block = 0; block < blocks; block++) {
#pragma GCC unroll 4
    for (int g = 0; g < NG; g++) {
      const float* x = a + block * kBlock;
      // Hides that the activations stay the same, or gcc 12 keeps vectors of them on the stack.
      __asm__("" : "+r"(x));
      if (NG == 4) AskAhead<kCodes>(panel.cell(block, group + g));
      ForEachBlockRow<kCodes>(panel, block, group + g, [&](int k, Lanes w) {
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++) c[g][i] = Fma(w, Set(x[i * lda + k]), c[g][i]);
      });
    }
  }
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) Finish(e, i, group + g, c[g][i]);
}

template <Codes kCodes>
void FewRowsF32(const Panel& panel, const float* a, int64_t lda, int64_t rows, const Epilogue& e) {
  using Run = void (*)(const Panel&, int, const float*, int64_t, const Epilogue&);
  static constexpr Run one[] = {FewBlocksF32<1, 1, kCodes>, FewBlocksF32<2, 1, kCodes>, FewBlocksF32<3, 1, kCodes>, FewBlocksF32<4, 1, kCodes>};
  static constexpr Run two[] = {FewBlocksF32<1, 2, kCodes>, FewBlocksF32<2, 2, kCodes>, FewBlocksF32<3, 2, kCodes>, FewBlocksF32<4, 2, kCodes>};
  int group = 0;
  static constexpr Run four[] = {FewBlocksF32<1, 4, kCodes>, FewBlocksF32<2, 4, kCodes>};
  if (panel.groups == 4 && rows <= 2) return four[rows - 1](panel, 0, a, lda, e);
  for (; group + 2 <= panel.groups; group += 2) two[rows - 1](panel, group, a, lda, e);
  if (group < panel.groups) one[rows - 1](panel, group, a, lda, e);
}

void FewF32(const Panel& panel, const float* a, int64_t lda, int64_t rows, const Epilogue& e) {
  WithCodes(panel.type, [&](auto tag) { FewRowsF32<tag.kCodes>(panel, a, lda, rows, e); });
}

#if defined(WINNOW_ISA_AVX512BF16)
/// c plus the products of one pair of activations, the same in all lanes, with 16 pairs of weights. In assembly: gcc 12 loads the pairs of many steps ahead and then keeps
/// sums on the stack.
inline __m512 DotBroadcast(__m512 c, const uint16_t* pair, __m512i w) {
  struct Two {
    uint16_t v[2];
  };
  __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(w), "m"(*reinterpret_cast<const Two*>(pair)));
  return c;
}

/// MR rows times all NG groups of a panel straight from the packed bytes: weights live only in registers, bytes are read
/// in order.
template <int MR, int NG, Codes kCodes>
__attribute__((noinline)) void FewBlocksBf16(const Panel& panel, const uint16_t* a, int64_t lda, const Epilogue& e) {
  __m512 c[NG][MR];
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) c[g][i] = _mm512_setzero_ps();
  int64_t blocks = panel.k / kBlock;
  for (int64_t block = 0; block < blocks; block++) {
    const uint16_t* x = a + block * kBlock;
#pragma GCC unroll 4
    for (int g = 0; g < NG; g++) {
      AskAhead<kCodes>(panel.cell(block, g));
      ForEachPair<kCodes>(panel, block, g, [&](int pair, __m512i w) {
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++) c[g][i] = DotBroadcast(c[g][i], x + i * lda + 2 * pair, w);
      });
    }
  }
  for (int g = 0; g < NG; g++)
    for (int i = 0; i < MR; i++) Finish(e, i, g, Lanes{c[g][i]});
}

template <int MR, Codes kCodes>
void FewRowsBf16(const Panel& panel, const uint16_t* a, int64_t lda, const Epilogue& e) {
  switch (panel.groups) {
    case 1: return FewBlocksBf16<MR, 1, kCodes>(panel, a, lda, e);
    case 2: return FewBlocksBf16<MR, 2, kCodes>(panel, a, lda, e);
    case 3: return FewBlocksBf16<MR, 3, kCodes>(panel, a, lda, e);
    default: return FewBlocksBf16<MR, 4, kCodes>(panel, a, lda, e);
  }
}

void FewBf16(const Panel& panel, const uint16_t* a, int64_t lda, int64_t rows, const Epilogue& e) {
  using Run = void (*)(const Panel&, const uint16_t*, int64_t, const Epilogue&);
  WithCodes(panel.type, [&](auto tag) {
    constexpr Codes kCodes = tag.kCodes;
    static constexpr Run runs[] = {FewRowsBf16<1, kCodes>, FewRowsBf16<2, kCodes>, FewRowsBf16<3, kCodes>, FewRowsBf16<4, kCodes>};
    runs[rows - 1](panel, a, lda, e);
  });
}
#endif

}  // namespace
}  // namespace WINNOW_ISA

#if defined(WINNOW_ISA_AVX512BF16)
WINNOW_DEFINE_KERNELS(FewRowKernels, {&WINNOW_ISA::FewF32, &WINNOW_ISA::FewBf16});
#else
WINNOW_DEFINE_KERNELS(FewRowKernels, {&WINNOW_ISA::FewF32, nullptr});
#endif

}  // namespace winnow
