#include "gemm_tiles.isa.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

/// Eight 16 x 64-byte tiles in memory. The product follows the definition of TDPBF16PS, denormals apart: sums over even
/// and over odd k start at zero, take their products in order, and are added to each other and then to the result.
struct EmulatedTiles {
  static inline thread_local uint8_t tile[8][16][64];

  static void Begin() {}
  static void End() {}
  template <int T>
  static void Zero() {
    std::memset(tile[T], 0, sizeof tile[T]);
  }
  template <int T>
  static void Load(const void* from, int64_t stride) {
    for (int r = 0; r < 16; r++) std::memcpy(tile[T][r], static_cast<const uint8_t*>(from) + r * stride, 64);
  }
  template <int T>
  static void Store(void* to, int64_t stride) {
    for (int r = 0; r < 16; r++) std::memcpy(static_cast<uint8_t*>(to) + r * stride, tile[T][r], 64);
  }
  template <int T>
  static float At(int row, int element) {
    Bf16 h;
    std::memcpy(&h, &tile[T][row][2 * element], 2);
    return FromBf16(h);
  }
  template <int C, int A, int B>
  static void Multiply() {
    for (int m = 0; m < 16; m++) {
      for (int n = 0; n < 16; n++) {
        float even = 0, odd = 0, sum;
        for (int k = 0; k < 16; k++) {
          even = __builtin_fmaf(At<A>(m, 2 * k), At<B>(k, 2 * n), even);
          odd = __builtin_fmaf(At<A>(m, 2 * k + 1), At<B>(k, 2 * n + 1), odd);
        }
        std::memcpy(&sum, &tile[C][m][4 * n], 4);
        sum += even + odd;
        std::memcpy(&tile[C][m][4 * n], &sum, 4);
      }
    }
  }
};

}  // namespace
}  // namespace WINNOW_ISA

WINNOW_DEFINE_KERNELS(EmulatedTileKernels, {&WINNOW_ISA::MultiplyTiles<WINNOW_ISA::EmulatedTiles>});

}  // namespace winnow
