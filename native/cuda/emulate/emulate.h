/// The kernels on the host, thread by thread: threads of a block are fibers that give way at barriers and warp-wide
/// instructions, and copies arrive as late as the waits allow. Slow; it finds wrong fragments, masks, addresses and missing
/// barriers, and says nothing of time. Included before every translated kernel file; stands in for mma.cuh, async_copy.cuh
/// and, by hopper.h, for what only Hopper has.
#ifndef WINNOW_CUDA_EMULATE_H
#define WINNOW_CUDA_EMULATE_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#undef __launch_bounds__
#define __launch_bounds__(...)
#define WINNOW_CUDA_MMA_CUH
#define WINNOW_CUDA_ASYNC_COPY_CUH

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 gridDim, blockDim;

namespace winnow::emulate {

/// Runs one cluster of blocks after another; `body` is what each thread does.
void run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body, unsigned cluster = 1);
/// Of the block that runs, and of another of its cluster.
char* dynamic_shared();
char* shared_of(int rank);
int rank_in_cluster();
/// Every thread of the cluster comes.
void cluster_meeting();
constexpr int kWarpsOfBlock = 32;
/// Every thread of the block: returns the conjunction, disjunction and number of true arguments.
struct Vote {
  int all, any, count;
};
Vote block_vote(bool value);
/// The lanes of `mask` meet: the last to arrive runs `compute` over the `mine` of all of them.
void meet(uint32_t mask, void* mine, const std::function<void(void* const (&of)[32])>& compute);
int lane();
int thread();
/// Gives way until `ready(what, value)`.
void wait_until(bool (*ready)(const void* what, int value), const void* what, int value);
[[noreturn]] void fail(const char* why);
/// What a block of Hopper's does beside its threads (hopper.cpp): set up; move something along, asked between rounds of the
/// threads and with `stuck` when none of them can go on; look whether all has ended.
void begin_asynchronous(int threads, int blocks, unsigned number);
bool advance_asynchronous(bool stuck);
void end_asynchronous();
/// Turns of the warps of a block that uses barriers: in order, backwards, or the first in `rank` that can go on. Threads count through the blocks of a cluster.
enum class Turns { kForward, kBackward, kRanked };
struct Order {
  bool in_use = false;  ///< from the first barrier of a block on
  Turns turns = Turns::kForward;
  int rank[8 * kWarpsOfBlock] = {};  ///< first threads
};
extern Order order;
/// Copies of this thread, in groups; those still in flight may not be read.
void copy_later(void* target, const void* source, int bytes, bool valid);
void commit_copies();
void finish_copies(int groups_left);

/// Reads what a prefetch asks for, so that a wrong address shows where memory is watched.
inline void touch(const void* data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i += 16) (void)static_cast<const volatile char*>(data)[i];
}

template <typename Kernel>
struct Launch {
  Kernel kernel;
  dim3 grid, block;
  size_t shared_bytes;
  template <typename... Args>
  void operator()(Args... args) const {
    run(grid, block, shared_bytes, [&] { kernel(args...); });
  }
};
template <typename Kernel>
Launch<Kernel*> launching(Kernel* kernel, dim3 grid, dim3 block, size_t shared_bytes = 0, cudaStream_t = nullptr) {
  return {kernel, grid, block, shared_bytes};
}

/// Value of every lane, to every lane.
template <typename T>
struct Exchange {
  T value, result;
  int source;
};
template <typename T, typename Source>
T shuffle(uint32_t mask, T value, Source source) {
  Exchange<T> mine{value, value, source(lane())};
  meet(mask, &mine, [mask](void* const(&of)[32]) {
    for (int i = 0; i < 32; i++) {
      if (!(mask >> i & 1)) continue;
      auto* own = static_cast<Exchange<T>*>(of[i]);
      if (own->source >= 0 && own->source < 32 && of[own->source])
        own->result = static_cast<Exchange<T>*>(of[own->source])->value;
    }
  });
  return mine.result;
}
struct Ballot {
  bool value;
  uint32_t result;
};
inline uint32_t ballot(uint32_t mask, bool value) {
  Ballot mine{value, 0};
  meet(mask, &mine, [mask](void* const(&of)[32]) {
    uint32_t result = 0;
    for (int i = 0; i < 32; i++)
      if ((mask >> i & 1) && of[i] && static_cast<Ballot*>(of[i])->value) result |= 1u << i;
    for (int i = 0; i < 32; i++)
      if ((mask >> i & 1) && of[i]) static_cast<Ballot*>(of[i])->result = result;
  });
  return mine.result;
}

}  // namespace winnow::emulate

inline void __syncthreads() { winnow::emulate::block_vote(true); }
inline int __syncthreads_and(int value) { return winnow::emulate::block_vote(value).all; }
inline int __syncthreads_or(int value) { return winnow::emulate::block_vote(value).any; }
inline int __syncthreads_count(int value) { return winnow::emulate::block_vote(value).count; }
inline void __syncwarp(uint32_t mask = ~0u) { winnow::emulate::ballot(mask, true); }
inline uint32_t __ballot_sync(uint32_t mask, int value) { return winnow::emulate::ballot(mask, value); }
inline int __any_sync(uint32_t mask, int value) { return winnow::emulate::ballot(mask, value) != 0; }
inline int __all_sync(uint32_t mask, int value) { return winnow::emulate::ballot(mask, !value) == 0; }
template <typename T>
T __shfl_sync(uint32_t mask, T value, int source) {
  return winnow::emulate::shuffle(mask, value, [=](int) { return source & 31; });
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int step) {
  return winnow::emulate::shuffle(mask, value, [=](int lane) { return lane ^ step; });
}
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, int step) {
  return winnow::emulate::shuffle(mask, value, [=](int lane) { return lane - step; });
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, int step) {
  return winnow::emulate::shuffle(mask, value, [=](int lane) { return lane + step; });
}
template <typename T>
uint32_t __match_any_sync(uint32_t mask, T value) {
  uint32_t same = 0;
  for (int i = 0; i < 32; i++)
    if ((mask >> i & 1) && winnow::emulate::shuffle(mask, value, [=](int) { return i; }) == value) same |= 1u << i;
  return same;
}
template <typename T, typename U>
T atomicAdd(T* target, U value) {
  const T old = *target;
  *target += value;
  return old;
}
template <typename T, typename U>
T atomicMin(T* target, U value) {
  const T old = *target;
  if (static_cast<T>(value) < old) *target = value;
  return old;
}
template <typename T, typename U>
T atomicMax(T* target, U value) {
  const T old = *target;
  if (old < static_cast<T>(value)) *target = value;
  return old;
}
template <typename T, typename U>
T atomicOr(T* target, U value) {
  const T old = *target;
  *target |= static_cast<T>(value);
  return old;
}
inline void __threadfence() {}
template <typename T>
T __ldg(const T* source) {
  return *source;
}
template <typename T>
T __ldcg(const T* source) {
  return *source;
}
template <typename T>
T __ldcs(const T* source) {
  return *source;
}
inline float __expf(float x) { return std::exp(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  const float2 x = __half22float2(a), y = __half22float2(b), z = __half22float2(c);
  return __floats2half2_rn(std::fma(x.x, y.x, z.x), std::fma(x.y, y.y, z.y));
}
template <typename... Params, typename... Args>
cudaError_t launch_configured(const cudaLaunchConfig_t* config, void (*kernel)(Params...), Args... args) {
  winnow::emulate::launching(kernel, config->gridDim, config->blockDim, config->dynamicSmemBytes)(args...);
  return cudaSuccess;
}
#define cudaLaunchKernelEx launch_configured
template <typename... Args>
cudaError_t cudaFuncSetAttribute(void (*)(Args...), cudaFuncAttribute, int) {
  return cudaSuccess;
}
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __uint_as_float(uint32_t x) { return std::bit_cast<float>(x); }
inline uint32_t __float_as_uint(float x) { return std::bit_cast<uint32_t>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(uint32_t x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<uint32_t>(x)); }
inline int __ffs(int x) { return x ? std::countr_zero(static_cast<uint32_t>(x)) + 1 : 0; }
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t choice) {
  const uint64_t both = (static_cast<uint64_t>(b) << 32) | a;
  uint32_t out = 0;
  for (int i = 0; i < 4; i++) out |= static_cast<uint32_t>(both >> (8 * (choice >> (4 * i) & 7)) & 255) << (8 * i);
  return out;
}
template <typename A, typename B>
std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <typename A, typename B>
std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
using std::isinf;
using std::isnan;

#include "device.cuh"
#include "hopper.h"

namespace winnow {

/// Shared memory of kernels lies in static storage, so an offset from one place of it serves as an address of 32 bits.
WN_DEVICE uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(static_cast<const char*>(pointer) - emulate::dynamic_shared());
}
WN_DEVICE char* at_shared(uint32_t address) { return emulate::dynamic_shared() + static_cast<int32_t>(address); }
WN_DEVICE void async_copy_16(uint32_t target, const void* source, bool valid) {
  emulate::copy_later(at_shared(target), source, 16, valid);
}
WN_DEVICE void async_copy_4(uint32_t target, const void* source, bool valid) {
  emulate::copy_later(at_shared(target), source, 4, valid);
}
WN_DEVICE void async_copy_commit() { emulate::commit_copies(); }
template <int kPending>
WN_DEVICE void async_copy_wait() {
  emulate::finish_copies(kPending);
}

struct MatrixLoad {
  uint32_t address;
  uint32_t (*out)[4];
};
template <bool kTransposed>
void load_matrices_emulated(uint32_t (&r)[4], uint32_t address) {
  MatrixLoad mine{address, &r};
  emulate::meet(~0u, &mine, [](void* const(&of)[32]) {
    uint16_t matrices[4][8][8];
    for (int i = 0; i < 32; i++)
      std::memcpy(matrices[i / 8][i % 8], at_shared(static_cast<MatrixLoad*>(of[i])->address), 16);
    for (int i = 0; i < 32; i++)
      for (int m = 0; m < 4; m++) {
        const int g = i / 4, t = i % 4;
        const uint16_t low = kTransposed ? matrices[m][2 * t][g] : matrices[m][g][2 * t];
        const uint16_t high = kTransposed ? matrices[m][2 * t + 1][g] : matrices[m][g][2 * t + 1];
        (*static_cast<MatrixLoad*>(of[i])->out)[m] = low | static_cast<uint32_t>(high) << 16;
      }
  });
}
WN_DEVICE void load_matrices(uint32_t (&r)[4], uint32_t address) { load_matrices_emulated<false>(r, address); }
WN_DEVICE void load_matrices_transposed(uint32_t (&r)[4], uint32_t address) { load_matrices_emulated<true>(r, address); }

struct Product {
  float (*d)[4];
  uint32_t a[4], b[2];
};
/// Operand layouts as mma.cuh states them.
template <typename Widen>
void product_emulated(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1, Widen widen) {
  Product mine{&d, {a0, a1, a2, a3}, {b0, b1}};
  emulate::meet(~0u, &mine, [&](void* const(&of)[32]) {
    float a[16][16], b[16][8];
    for (int i = 0; i < 32; i++) {
      const auto& own = *static_cast<Product*>(of[i]);
      const int g = i / 4, t = i % 4;
      for (int r = 0; r < 4; r++)
        for (int half = 0; half < 2; half++)
          a[g + 8 * (r & 1)][2 * t + 8 * (r / 2) + half] = widen(own.a[r] >> (16 * half));
      for (int r = 0; r < 2; r++)
        for (int half = 0; half < 2; half++) b[2 * t + 8 * r + half][g] = widen(own.b[r] >> (16 * half));
    }
    for (int i = 0; i < 32; i++)
      for (int r = 0; r < 4; r++) {
        const int row = i / 4 + 8 * (r / 2), column = 2 * (i % 4) + (r & 1);
        float sum = (*static_cast<Product*>(of[i])->d)[r];
        for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
        (*static_cast<Product*>(of[i])->d)[r] = sum;
      }
  });
}
WN_DEVICE void mma_16x8x16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  product_emulated(d, a0, a1, a2, a3, b0, b1, [](uint32_t word) { return std::bit_cast<float>(word << 16); });
}
WN_DEVICE uint32_t transpose_matrix(uint32_t word) {
  const int lane = emulate::lane(), g = lane / 4, t = lane % 4;
  const uint32_t first = __shfl_sync(~0u, word, 8 * t + g / 2), second = __shfl_sync(~0u, word, 8 * t + 4 + g / 2);
  return (first >> (16 * (g % 2)) & 0xffff) | (second >> (16 * (g % 2)) & 0xffff) << 16;
}
WN_DEVICE void mma_16x8x16_half(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                uint32_t b1) {
  product_emulated(d, a0, a1, a2, a3, b0, b1,
                   [](uint32_t word) { return __half2float(std::bit_cast<__half>(static_cast<uint16_t>(word))); });
}

}  // namespace winnow

#endif
