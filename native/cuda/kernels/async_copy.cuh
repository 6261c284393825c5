/// Copies from global to shared memory that do not pass through registers, on every device since Ampere.
#ifndef WINNOW_CUDA_ASYNC_COPY_CUH
#define WINNOW_CUDA_ASYNC_COPY_CUH

#include "device.cuh"

namespace winnow {

WN_DEVICE uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

/// 16 bytes to shared memory, or 16 zero bytes if not `valid`.
WN_DEVICE void async_copy_16(uint32_t target, const void* source, bool valid) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(target), "l"(source), "r"(valid ? 16 : 0)
               : "memory");
}
WN_DEVICE void async_copy_4(uint32_t target, const void* source, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(target), "l"(source), "r"(valid ? 4 : 0)
               : "memory");
}
WN_DEVICE void async_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
WN_DEVICE void async_copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace winnow

#endif
