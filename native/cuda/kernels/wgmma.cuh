/// Warp-group matrix products: D[64, N] (f32, registers) += A[64, 16] * B[16, N] (bf16).
///
/// `shared_shared` reads A and B through descriptors, `register_shared` takes A as four words per thread. The
/// transpose flags say that an operand lies MN-major, as V does. N follows from the accumulator: 2 * its length.
#ifndef WINNOW_CUDA_WGMMA_CUH
#define WINNOW_CUDA_WGMMA_CUH

#include "device.cuh"

namespace winnow {

WN_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
WN_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
WN_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from moving register accesses across an asynchronous product.
template <int kLength>
WN_DEVICE void pin_registers(float (&values)[kLength]) {
#pragma unroll
  for (int i = 0; i < kLength; i++) asm volatile("" : "+f"(values[i])::"memory");
}

// Operand text and constraints of so many accumulators, built up so that no line lists them all.
#define WN_TEXT_4 "%0,%1,%2,%3"
#define WN_TEXT_8 WN_TEXT_4 ",%4,%5,%6,%7"
#define WN_TEXT_16 WN_TEXT_8 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define WN_TEXT_32 WN_TEXT_16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define WN_TEXT_40 WN_TEXT_32 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define WN_TEXT_64                                                                                             \
  WN_TEXT_32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55" \
             ",%56,%57,%58,%59,%60,%61,%62,%63"
#define WN_TEXT_80 WN_TEXT_64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define WN_TEXT_128                                                                                              \
  WN_TEXT_64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87"   \
             ",%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109" \
             ",%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define WN_ACC_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WN_ACC_8(i) WN_ACC_4(i), WN_ACC_4(i + 4)
#define WN_ACC_16(i) WN_ACC_8(i), WN_ACC_8(i + 8)
#define WN_ACC_32(i) WN_ACC_16(i), WN_ACC_16(i + 16)
#define WN_ACC_40(i) WN_ACC_32(i), WN_ACC_8(i + 32)
#define WN_ACC_64(i) WN_ACC_32(i), WN_ACC_32(i + 32)
#define WN_ACC_80(i) WN_ACC_64(i), WN_ACC_16(i + 64)
#define WN_ACC_128(i) WN_ACC_64(i), WN_ACC_64(i + 64)

#define WN_WGMMA_SHARED(LENGTH, N, A, B, USE, TA, TB)                                                             \
  template <int kTransposeA, int kTransposeB>                                                                     \
  WN_DEVICE void wgmma_shared_shared(float (&d)[LENGTH], uint64_t a, uint64_t b, int accumulate) {                \
    asm volatile("{.reg .pred p; setp.ne.b32 p,%" #USE ",0; wgmma.mma_async.sync.aligned.m64n" #N                 \
                 "k16.f32.bf16.bf16 {" WN_TEXT_##LENGTH "},%" #A ",%" #B ",p,1,1,%" #TA ",%" #TB ";}"              \
                 : WN_ACC_##LENGTH(0)                                                                             \
                 : "l"(a), "l"(b), "r"(accumulate), "n"(kTransposeA), "n"(kTransposeB));                          \
  }
WN_WGMMA_SHARED(4, 8, 4, 5, 6, 7, 8)
WN_WGMMA_SHARED(8, 16, 8, 9, 10, 11, 12)
WN_WGMMA_SHARED(16, 32, 16, 17, 18, 19, 20)
WN_WGMMA_SHARED(32, 64, 32, 33, 34, 35, 36)
WN_WGMMA_SHARED(40, 80, 40, 41, 42, 43, 44)
WN_WGMMA_SHARED(64, 128, 64, 65, 66, 67, 68)
WN_WGMMA_SHARED(80, 160, 80, 81, 82, 83, 84)

#define WN_WGMMA_REGISTER(LENGTH, N, A0, A1, A2, A3, B, USE, TB)                                                  \
  template <int kTransposeB>                                                                                      \
  WN_DEVICE void wgmma_register_shared(float (&d)[LENGTH], const uint32_t* a, uint64_t b, int accumulate) {       \
    asm volatile("{.reg .pred p; setp.ne.b32 p,%" #USE ",0; wgmma.mma_async.sync.aligned.m64n" #N                 \
                 "k16.f32.bf16.bf16 {" WN_TEXT_##LENGTH "},{%" #A0 ",%" #A1 ",%" #A2 ",%" #A3 "},%" #B            \
                 ",p,1,1,%" #TB ";}"                                                                              \
                 : WN_ACC_##LENGTH(0)                                                                             \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(kTransposeB));        \
  }
WN_WGMMA_REGISTER(32, 64, 32, 33, 34, 35, 36, 37, 38)
WN_WGMMA_REGISTER(64, 128, 64, 65, 66, 67, 68, 69, 70)
WN_WGMMA_REGISTER(128, 256, 128, 129, 130, 131, 132, 133, 134)

}  // namespace winnow

#endif
