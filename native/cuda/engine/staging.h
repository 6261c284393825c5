#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstring>

/// Pinned memory in two halves, with a mirror on the device: a small upload is a copy into it and an asynchronous transfer,
/// and only a half that is entered again waits for what was last sent from it. A small download goes through it as well.
namespace winnow::gpu {

class Staging {
 public:
  static constexpr size_t kMost = size_t{8} << 20;  ///< of one upload; the size of a half
  static constexpr size_t kMostDown = size_t{64} << 10;

  struct Place {
    std::byte* host;    ///< null when CUDA failed
    std::byte* device;  ///< the same place in the mirror
  };

  explicit Staging(cudaStream_t stream) : stream_(stream) {}
  ~Staging() {
    for (cudaEvent_t event : sent_)
      if (event != nullptr) cudaEventDestroy(event);
    cudaFreeHost(host_);
    cudaFree(device_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  cudaError_t Open() {
    void *host = nullptr, *device = nullptr;
    cudaError_t error = cudaMallocHost(&host, 2 * kMost + kMostDown);
    host_ = static_cast<std::byte*>(host);
    if (error == cudaSuccess) error = cudaMalloc(&device, 2 * kMost);
    device_ = static_cast<std::byte*>(device);
    for (cudaEvent_t& event : sent_)
      if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    return error;
  }

  Place Put(const void* from, size_t bytes) {
    const size_t rounded = (bytes + 255) / 256 * 256;
    if (used_ + rounded > kMost) {
      if (cudaEventRecord(sent_[half_], stream_) != cudaSuccess) return {nullptr, nullptr};
      half_ = 1 - half_;
      used_ = 0;
      if (cudaEventSynchronize(sent_[half_]) != cudaSuccess) return {nullptr, nullptr};
    }
    const size_t at = half_ * kMost + used_;
    used_ += rounded;
    std::memcpy(host_ + at, from, bytes);
    return {host_ + at, device_ + at};
  }

  /// Pinned memory for a download of at most kMostDown bytes.
  std::byte* down() const { return host_ + 2 * kMost; }

 private:
  cudaStream_t stream_;
  std::byte *host_ = nullptr, *device_ = nullptr;
  cudaEvent_t sent_[2] = {};
  size_t half_ = 0, used_ = 0;
};

}  // namespace winnow::gpu
