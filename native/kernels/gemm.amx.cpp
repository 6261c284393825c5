#include "gemm_tiles.isa.h"

namespace winnow {
namespace WINNOW_ISA {
namespace {

/// The tile registers themselves. In assembly, because gcc's intrinsics take only literal tile numbers.
struct HardwareTiles {
  /// Palette 1: eight tiles of 16 rows x 64 bytes.
  static void Begin() {
    alignas(64) uint8_t config[64] = {1};
    for (int t = 0; t < 8; t++) {
      config[16 + 2 * t] = 64;
      config[48 + t] = 16;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(config));
  }
  static void End() { __asm__ volatile("tilerelease"); }
  template <int T>
  static void Zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(T));
  }
  template <int T>
  static void Load(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(T) : "memory");
  }
  template <int T>
  static void Store(void* to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(T) : "memory");
  }
  template <int C, int A, int B>
  static void Multiply() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
};

}  // namespace
}  // namespace WINNOW_ISA

TileMultiply AmxMultiply() { return &WINNOW_ISA::MultiplyTiles<WINNOW_ISA::HardwareTiles>; }

}  // namespace winnow
