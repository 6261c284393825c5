/// Hopper's barriers, copy engine and warp-group products on the host; stands in for hopper.cuh and wgmma.cuh.
///
/// Operands are found as the hardware finds them, by the bits of descriptors and tensor maps, and know nothing of the
/// kernels' own index functions. Copies and products happen as late or as early as their waits allow, by turns; memory that
/// a copy is under way to holds NaN patterns until it lands, so a stage given back too soon or read too soon shows.
#ifndef WINNOW_CUDA_EMULATE_HOPPER_H
#define WINNOW_CUDA_EMULATE_HOPPER_H

#include <cuda.h>

#include <vector>

#define WINNOW_CUDA_HOPPER_CUH
#define WINNOW_CUDA_WGMMA_CUH
#undef __grid_constant__
#define __grid_constant__

namespace winnow::emulate {

/// What a thread did that the order of others may bear upon.
struct Event {
  enum Kind { kBegin, kArrive, kExpect, kWait, kCopy, kLand, kRead, kCommit, kRetire };
  Kind kind;
  int thread;
  uint32_t barrier;  ///< its address; of kRead that of the operand
  int value;         ///< of kBegin the arrivals, kWait the parity, kExpect and kCopy the bytes, kRetire the groups left
  uint32_t target;   ///< of kCopy
};
/// Events of the blocks that run from now on; null ends it.
void record(std::vector<Event>* into);
/// Which of the orders blocks run in.
void set_order(unsigned order);

void barrier_begin(uint64_t* barrier, int arrivals);
void barrier_expect_bytes(uint64_t* barrier, int bytes);
void barrier_arrival(uint64_t* barrier);
void barrier_wait_for(uint64_t* barrier, int parity);
void named_barrier(int id, int threads, bool waits);
void copy_box(void* target, const CUtensorMap* map, uint64_t* barrier, const int (&at)[4]);
void copy_bytes(void* target, const void* source, int bytes, uint64_t* barrier);

/// One warp's share of a warp-group product: D[16, N] += A[16, 16] * B[16, N].
struct GroupProduct {
  float* d = nullptr;  ///< accumulators of this lane, and how many
  int length = 0;
  const uint32_t* words = nullptr;  ///< of A, where it is in registers
  uint64_t a = 0, b = 0;
  bool transposed_a = false, transposed_b = false, accumulate = false;
};
void issue_product(const GroupProduct& mine);
void commit_products();
void wait_products(int pending);

}  // namespace winnow::emulate

namespace winnow {

inline void barrier_init(uint64_t* barrier, int arrivals) { emulate::barrier_begin(barrier, arrivals); }
inline void barrier_expect(uint64_t* barrier, int bytes) { emulate::barrier_expect_bytes(barrier, bytes); }
inline void barrier_arrive(uint64_t* barrier) { emulate::barrier_arrival(barrier); }
inline void barrier_wait(uint64_t* barrier, int parity) { emulate::barrier_wait_for(barrier, parity); }
inline void barrier_init_fence() {}
inline void fence_async_proxy() {}
inline void named_barrier_sync(int id, int threads) { emulate::named_barrier(id, threads, true); }
inline void named_barrier_arrive(int id, int threads) { emulate::named_barrier(id, threads, false); }
inline void tma_load_4d(void* target, const CUtensorMap* map, uint64_t* barrier, int c0, int c1, int c2, int c3) {
  emulate::copy_box(target, map, barrier, {c0, c1, c2, c3});
}
inline void tma_load_4d_hinted(void* target, const CUtensorMap* map, uint64_t* barrier, int c0, int c1, int c2, int c3, uint64_t) {
  emulate::copy_box(target, map, barrier, {c0, c1, c2, c3});
}
inline uint64_t evict_first_policy() { return 0; }
inline void cluster_sync() { emulate::cluster_meeting(); }
inline float4 cluster_load(const float* own, int rank) {
  float4 value;
  std::memcpy(&value, emulate::shared_of(rank) + (reinterpret_cast<const char*>(own) - emulate::dynamic_shared()), sizeof(value));
  return value;
}
template <typename... Args>
cudaError_t launch_clusters(void (*kernel)(Args...), dim3 grid, dim3 block, size_t shared_bytes, unsigned cluster, cudaStream_t,
                            Args... args) {
  emulate::run(grid, block, shared_bytes, [&] { kernel(args...); }, cluster);
  return cudaSuccess;
}
inline void bulk_load(void* target, const void* source, int bytes, uint64_t* barrier) {
  emulate::copy_bytes(target, source, bytes, barrier);
}
inline void prefetch_tensor_map(const CUtensorMap*) {}
inline void prefetch_l2_line(const void* data) { emulate::touch(data, 1); }
template <int kRegisters>
void give_up_registers() {}
template <int kRegisters>
void take_registers() {}

inline void wgmma_fence() {}
inline void wgmma_commit() { emulate::commit_products(); }
template <int kPending>
void wgmma_wait() {
  emulate::wait_products(kPending);
}
template <int kLength>
void pin_registers(float (&)[kLength]) {}
template <int kTransposeA, int kTransposeB, int kLength>
void wgmma_shared_shared(float (&d)[kLength], uint64_t a, uint64_t b, int accumulate) {
  emulate::issue_product({d, kLength, nullptr, a, b, kTransposeA != 0, kTransposeB != 0, accumulate != 0});
}
template <int kTransposeB, int kLength>
void wgmma_register_shared(float (&d)[kLength], const uint32_t* a, uint64_t b, int accumulate) {
  emulate::issue_product({d, kLength, a, 0, b, false, kTransposeB != 0, accumulate != 0});
}

}  // namespace winnow

#endif
