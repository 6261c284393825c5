#pragma once

#include <cstdint>
#include <vector>

#include "tensor.h"

/// How one source serves every instruction set.
///
/// Files are told apart by name (CMakeLists.txt picks them up by glob):
///   kernels/<op>.cpp        plain C++: checks, splitting over threads, choice of table
///   kernels/<op>_ref.cpp    the naive fp64 reference, plain C++
///   kernels/<op>.isa.cpp    compiled once per instruction set (scalar, avx2, avx512, avx512bf16), each with its own
///                           flags; everything in it lives in `namespace winnow::WINNOW_ISA`
///   kernels/<op>.amx.cpp    compiled once, with the AMX flags, only where the compiler has them
///
/// An op declares a struct of function pointers in its header and one table per instruction set:
///
///   struct RmsNormKernels { void (*row)(const float* x, ...); };
///   WINNOW_DECLARE_KERNELS(RmsNormKernels);
///   // in rms_norm.isa.cpp, at namespace winnow scope, after namespace winnow::WINNOW_ISA { void Row(...) {...} }:
///   WINNOW_DEFINE_KERNELS(RmsNormKernels, {&WINNOW_ISA::Row});
///   // at use:
///   const RmsNormKernels& k = Kernels<RmsNormKernels>(context.isa);
///
/// An .isa.cpp file must not instantiate inline functions or templates that other files also use (no std containers,
/// std::sort, std::function): the linker keeps one copy, perhaps the one with instructions this machine lacks.
/// Put own inline code in namespace winnow::WINNOW_ISA (numerics.h does).
#if defined(__x86_64__) || defined(_M_X64)
#define WINNOW_X86 1
#endif

namespace winnow {

enum class Isa : int32_t { kScalar, kAvx2, kAvx512, kAvx512Bf16, kAmx };
constexpr int kNumIsas = 5;
enum class Numerics : int32_t { kNative, kReference };

const char* NameOf(Isa isa);
bool IsaFromName(const char* name, Isa* out);
/// Instruction sets of this machine and build, best first; kScalar is always last.
const std::vector<Isa>& AvailableIsas();

/// What `configure` chose; every kernel takes it first.
struct Context {
  Isa isa = Isa::kScalar;
  Numerics numerics = Numerics::kNative;
  /// Tests only: products as on kAmx, by emulated tiles.
  bool emulated_tiles = false;

  /// bf16 activations: native numerics on a set with bf16 products.
  bool has_bf16() const { return numerics == Numerics::kNative && isa >= Isa::kAvx512Bf16; }
  DType act() const { return has_bf16() ? DType::kBf16 : DType::kF32; }
};

/// The table of an instruction set; kAmx uses kAvx512Bf16's (AMX code has files and tables of its own).
template <class Table>
const Table& Kernels(Isa isa);

#define WINNOW_JOIN_(a, b) a##_##b
#define WINNOW_JOIN(a, b) WINNOW_JOIN_(a, b)

#ifdef WINNOW_X86
#define WINNOW_DECLARE_KERNELS(Table)                     \
  const Table& Table##_scalar();                          \
  const Table& Table##_avx2();                            \
  const Table& Table##_avx512();                          \
  const Table& Table##_avx512bf16();                      \
  template <>                                             \
  inline const Table& Kernels<Table>(Isa isa) {           \
    switch (isa) {                                        \
      case Isa::kAmx:                                     \
      case Isa::kAvx512Bf16: return Table##_avx512bf16(); \
      case Isa::kAvx512: return Table##_avx512();         \
      case Isa::kAvx2: return Table##_avx2();             \
      default: return Table##_scalar();                   \
    }                                                     \
  }
#else
#define WINNOW_DECLARE_KERNELS(Table)             \
  const Table& Table##_scalar();                  \
  template <>                                     \
  inline const Table& Kernels<Table>(Isa) {       \
    return Table##_scalar();                      \
  }
#endif

/// WINNOW_ISA is given by the build: scalar, avx2, avx512 or avx512bf16.
#define WINNOW_DEFINE_KERNELS(Table, ...)                \
  const Table& WINNOW_JOIN(Table, WINNOW_ISA)() {        \
    static constexpr Table table = __VA_ARGS__;          \
    return table;                                        \
  }

}  // namespace winnow
