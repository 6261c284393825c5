#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "../../kernels/weights.h"
#include "device.h"

namespace winnow::gpu {

/// A matrix in bf16 on the device, row-major [rows, cols]. With `weave` > 0 its rows alternate: `weave` of gate, then as many
/// of up, which is also the order of the columns that `linear` gives.
struct DeviceWeight {
  int64_t rows = 0, cols = 0, weave = 0;
  std::byte* data = nullptr;
  size_t bytes = 0;
};

class WeightStore {
 public:
  explicit WeightStore(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  ~WeightStore();
  WeightStore(const WeightStore&) = delete;
  WeightStore& operator=(const WeightStore&) = delete;

  /// Every source becomes f32 as on the CPU, then bf16 (nearest even). Limits as packWeight of the binding contract.
  Status Pack(const std::vector<WeightSource>& sources, int64_t weave, uint32_t* out);
  /// `deviation` times standard normal values of (seed, row, column), made on the device.
  Status Random(int64_t rows, int64_t cols, uint32_t seed, float deviation, uint32_t* out);
  Status Get(uint32_t id, const char* where, const DeviceWeight** out) const;
  Status Free(uint32_t id);
  int64_t bytes() const { return bytes_; }

 private:
  Status Add(int64_t rows, int64_t cols, int64_t weave, uint32_t* id, DeviceWeight** out);

  std::shared_ptr<Device> device_;
  uint32_t next_ = 1;
  int64_t bytes_ = 0;
  std::unordered_map<uint32_t, DeviceWeight> weights_;
};

}  // namespace winnow::gpu
