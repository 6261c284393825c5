/// What every kernel file needs: bf16 words, warp reductions, argument checks.
#ifndef WINNOW_CUDA_DEVICE_CUH
#define WINNOW_CUDA_DEVICE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "index.h"
#include "winnow_cuda/status.h"

#define WN_DEVICE __device__ __forceinline__

namespace winnow {

constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

inline WnStatus make_status(int32_t code, const char* message) {
  WnStatus status{};
  status.code = code;
  std::snprintf(status.message, sizeof(status.message), "%s", message);
  return status;
}
inline WnStatus ok() { return WnStatus{}; }

inline WnStatus cuda_status(cudaError_t error, const char* where) {
  if (error == cudaSuccess) return ok();
  WnStatus status{};
  const bool no_driver = error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice;
  status.code = no_driver ? WN_NO_DRIVER : WN_CUDA;
  std::snprintf(status.message, sizeof(status.message), "%s: %s (%d)", where, cudaGetErrorName(error), int(error));
  return status;
}

/// Status of the launch just made; clears a launch error so that the next op is judged on its own.
inline WnStatus launch_status(const char* op) { return cuda_status(cudaGetLastError(), op); }

#define WN_REQUIRE(condition, text) \
  if (!(condition)) return ::winnow::make_status(WN_INVALID, text)

inline bool aligned(const void* pointer, int bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

/// Of the current device; 0 where there is none. What was asked once is remembered, since launches ask for it.
inline int device_attribute(cudaDeviceAttr attribute) {
  constexpr int kDevices = 16, kAttributes = 128;
  static std::atomic<int> known[kDevices][kAttributes];  // value + 1
  int device = 0, value = 0;
  if (cudaGetDevice(&device) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  const bool is_kept = device < kDevices && attribute < kAttributes;
  if (is_kept && known[device][attribute] > 0) return known[device][attribute] - 1;
  if (cudaDeviceGetAttribute(&value, attribute, device) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  if (is_kept) known[device][attribute] = value + 1;
  return value;
}

#ifdef __CUDACC__
WN_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// Two floats as bf16, the first in the low half.
WN_DEVICE uint32_t pack_bf16(float low, float high) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
#else
WN_DEVICE float exp2_fast(float x) { return std::exp2(x); }
WN_DEVICE uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair(__float2bfloat16(low), __float2bfloat16(high));
  uint32_t word;
  std::memcpy(&word, &pair, sizeof(word));
  return word;
}
#endif
WN_DEVICE float low_bf16(uint32_t word) { return __uint_as_float(word << 16); }
WN_DEVICE float high_bf16(uint32_t word) { return __uint_as_float(word & 0xffff0000u); }

#ifdef __CUDACC__
/// Lets a kernel launched by launch_early begin while this one still runs; it must not read before wait_for_predecessor.
WN_DEVICE void let_successor_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
/// In a kernel launched by launch_early: waits for the end of the one before and for its writes.
WN_DEVICE void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// Asks for bytes of device memory to be brought into the L2, by one thread: 16-byte aligned, a multiple of 16.
WN_DEVICE void prefetch_l2(const void* data, uint32_t bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(data)), "r"(bytes) : "memory");
#endif
}
/// A launch that may begin before the kernel ahead of it in the stream has ended, on devices built for that.
template <typename... Args>
cudaError_t launch_early(void (*kernel)(Args...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Args... args) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &early;
  // Code for 8.0 has no wait in it, so a device that runs that must not start early.
  config.numAttrs = device_attribute(cudaDevAttrComputeCapabilityMajor) == 9 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, args...);
}
#else
inline void let_successor_start() {}
inline void wait_for_predecessor() {}
inline void prefetch_l2(const void* data, uint32_t bytes) { emulate::touch(data, bytes); }
template <typename... Args>
cudaError_t launch_early(void (*kernel)(Args...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t, Args... args) {
  emulate::launching(kernel, grid, block, shared_bytes)(args...);
  return cudaSuccess;
}
#endif

template <typename Combine>
WN_DEVICE float warp_reduce(float value, Combine combine) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(~0u, value, step));
  return value;
}
WN_DEVICE float warp_sum(float value) {
  return warp_reduce(value, [](float a, float b) { return a + b; });
}
/// Sum over the lanes up to this one. Every lane of the warp calls it.
template <typename T>
WN_DEVICE T warp_scan(T value) {
  T sum = value;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const T other = __shfl_up_sync(~0u, sum, step);
    if (static_cast<int>(threadIdx.x % 32) >= step) sum += other;
  }
  return sum;
}

}  // namespace winnow

#endif
