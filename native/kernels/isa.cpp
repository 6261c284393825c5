#include "isa.h"

#include <cstring>

#if defined(WINNOW_X86) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#ifdef WINNOW_X86
#include <cpuid.h>
#endif

namespace winnow {

namespace {

constexpr const char* kNames[kNumIsas] = {"scalar", "avx2", "avx512", "avx512bf16", "amx"};

#ifdef WINNOW_X86
struct CpuBits {
  bool avx2 = false, avx512 = false, bf16 = false, amx = false;
};

uint64_t EnabledState() {  // XCR0: which registers the operating system saves
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

/// Linux lends tile registers only to processes that ask.
bool AskForTiles() {
#if defined(WINNOW_HAS_AMX) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

CpuBits ReadCpu() {
  CpuBits bits;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return bits;
  bool has_fma = c >> 12 & 1, has_xsave = c >> 27 & 1, has_f16c = c >> 29 & 1;
  if (!has_xsave || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return bits;
  uint64_t state = EnabledState();
  bits.avx2 = (state & 0x6) == 0x6 && (b >> 5 & 1) && has_fma && has_f16c;
  bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1;
  bits.avx512 = bits.avx2 && (state & 0xe6) == 0xe6 && f && dq && bw && vl;
  bool amx_bits = (d >> 22 & 1) && (d >> 24 & 1) && (state & 0x60000) == 0x60000;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) bits.bf16 = bits.avx512 && (a >> 5 & 1);
  bits.amx = bits.bf16 && amx_bits && AskForTiles();
  return bits;
}
#endif

std::vector<Isa> Detect() {
  std::vector<Isa> found;
#ifdef WINNOW_X86
  CpuBits bits = ReadCpu();
  if (bits.amx) found.push_back(Isa::kAmx);
  if (bits.bf16) found.push_back(Isa::kAvx512Bf16);
  if (bits.avx512) found.push_back(Isa::kAvx512);
  if (bits.avx2) found.push_back(Isa::kAvx2);
#endif
  found.push_back(Isa::kScalar);
  return found;
}

}  // namespace

const char* NameOf(Isa isa) { return kNames[static_cast<int>(isa)]; }

bool IsaFromName(const char* name, Isa* out) {
  for (int i = 0; i < kNumIsas; i++) {
    if (std::strcmp(name, kNames[i]) == 0) {
      *out = static_cast<Isa>(i);
      return true;
    }
  }
  return false;
}

const std::vector<Isa>& AvailableIsas() {
  static const std::vector<Isa> isas = Detect();
  return isas;
}

}  // namespace winnow
