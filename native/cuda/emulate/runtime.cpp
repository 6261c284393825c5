/// The few runtime calls that kernels and tests make, over host memory; the Hopper kernels answer that they are not here.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <cuda_runtime_api.h>

#include "winnow_cuda.h"

extern "C" {
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind) {
  std::memcpy(target, source, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* target, int value, size_t bytes) {
  std::memset(target, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t) { return cudaMemset(target, value, bytes); }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "emulated"; }
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor ? 8 : attribute == cudaDevAttrMultiProcessorCount ? 4 : 0;
  return cudaSuccess;
}
}

namespace {
WnStatus not_emulated() {
  WnStatus status{};
  status.code = WN_UNSUPPORTED;
  std::snprintf(status.message, sizeof(status.message), "not emulated");
  return status;
}
}  // namespace

WnStatus wn_device_info(int32_t, WnDeviceInfo* info) {
  *info = WnDeviceInfo{};
  info->device_count = 1;
  info->compute_major = 8;
  info->num_multiprocessors = 4;
  std::snprintf(info->name, sizeof(info->name), "emulated");
  return WnStatus{};
}
WnStatus wn_decode_attention(const WnDecodeAttentionParams*, void*) { return not_emulated(); }
int64_t wn_decode_attention_workspace_bytes(const WnDecodeAttentionParams*) { return 0; }
WnStatus wn_prefill_attention(const WnPrefillAttentionParams*, void*) { return not_emulated(); }
