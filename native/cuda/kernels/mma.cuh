/// The warp-wide matrix product of every device since Ampere, with 16 rows, 8 columns and 16 inner steps.
#ifndef WINNOW_CUDA_MMA_CUH
#define WINNOW_CUDA_MMA_CUH

#include "device.cuh"

namespace winnow {

/// d += A * B. With g = lane / 4 and t = lane % 4: a = A[g], A[g + 8] at inner 2t, 2t + 1, then both at 2t + 8, 2t + 9;
/// b = B at column g, inner 2t, 2t + 1 and 2t + 8, 2t + 9; d = row g columns 2t, 2t + 1, then row g + 8.
/// The inner index may be permuted freely as long as A and B agree.
WN_DEVICE void mma_16x8x16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
/// The same with f16 operands.
WN_DEVICE void mma_16x8x16_half(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// Of an 8 x 8 matrix of 16-bit words, lane 4 g + t holds row g, columns 2 t and 2 t + 1: the same of its transpose.
WN_DEVICE uint32_t transpose_matrix(uint32_t word) {
  uint32_t turned;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(turned) : "r"(word));
  return turned;
}

/// Four 8 x 8 matrices of 16-bit words, one row address a lane: lanes 8 i .. 8 i + 7 name the rows of matrix i. Lane 4 g + t
/// gets row g, columns 2 t and 2 t + 1 of each.
WN_DEVICE void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
/// The same, each transposed: column g, rows 2 t and 2 t + 1.
WN_DEVICE void load_matrices_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

}  // namespace winnow

#endif
