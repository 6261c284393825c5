#include "peak.h"

#include "../kernels/numerics.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

#if defined(WINNOW_ISA_AVX512)
constexpr int kChains = 12;  // latency times rate of the slowest product known (6 cycles, 2 a cycle)
#elif defined(WINNOW_ISA_AVX2)
constexpr int kChains = 5;
#else
constexpr int kChains = 1;
#endif

double F32(int64_t rounds, float* sink) {
  Lanes sums[kChains];
  Lanes a = Set(0.999f), b = Set(1e-3f);
  for (int i = 0; i < kChains; i++) sums[i] = Set(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) sums[i] = Fma(a, sums[i], b);
  }
  for (int i = 0; i < kChains; i++) *sink += Sum(sums[i]);
  return static_cast<double>(rounds) * kChains * kLanes * 2;
}

#if defined(WINNOW_ISA_AVX512BF16)
double Bf16Products(int64_t rounds, float* sink) {
  __m512 sums[kChains];
  __m512i a = _mm512_set1_epi32(0x3c003c00), b = _mm512_set1_epi32(0x3c013c01);
  for (int i = 0; i < kChains; i++) sums[i] = _mm512_setzero_ps();
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) {
      sums[i] = _mm512_dpbf16_ps(sums[i], reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
  }
  for (int i = 0; i < kChains; i++) *sink += Sum(Lanes{sums[i]});
  return static_cast<double>(rounds) * kChains * 32 * 2;
}
#endif

/// Written in assembly: from one shared zero, gcc 12 keeps integer sums on the stack. Only for sets that have VNNI.
#if defined(WINNOW_ISA_AVX512BF16)
double Int8Products(int64_t rounds, float* sink) {
  __m512i sums[kChains];
  __m512i a = _mm512_set1_epi32(0x01020304), b = _mm512_set1_epi32(0x01010101);
  for (int i = 0; i < kChains; i++) sums[i] = _mm512_set1_epi32(i);
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) __asm__("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(a), "v"(b));
  }
  for (int i = 0; i < kChains; i++) *sink += static_cast<float>(_mm512_reduce_add_epi32(sums[i]));
  return static_cast<double>(rounds) * kChains * 64 * 2;
}
#endif

float Read(const float* data, int64_t count) {
  Lanes sums[8];
  for (int i = 0; i < 8; i++) sums[i] = Set(0);
  for (int64_t at = 0; at + 128 <= count; at += 128) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) sums[i] = Add(sums[i], Load(data + at + i * kLanes));
  }
  float total = 0;
  for (int i = 0; i < 8; i++) total += Sum(sums[i]);
  return total;
}

}  // namespace
}  // namespace WINNOW_ISA

#if defined(WINNOW_ISA_AVX512BF16)
WINNOW_DEFINE_KERNELS(PeakKernels, {&WINNOW_ISA::F32, &WINNOW_ISA::Bf16Products, &WINNOW_ISA::Int8Products, &WINNOW_ISA::Read});
#else
WINNOW_DEFINE_KERNELS(PeakKernels, {&WINNOW_ISA::F32, nullptr, nullptr, &WINNOW_ISA::Read});
#endif

}  // namespace winnow
