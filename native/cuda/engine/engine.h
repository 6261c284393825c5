#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cache.h"
#include "device.h"
#include "weights.h"

namespace winnow::gpu {

/// The int32 values that were last uploaded, while nothing else has written to such tensors: an op that needs to know them
/// (how many entries to take) then need not wait for the device.
struct UploadedCounts {
  static constexpr int64_t kMost = 65536;
  TensorId tensor = 0;
  std::vector<int32_t> values;

  void Remember(TensorId id, const int32_t* data, int64_t count) {
    tensor = count <= kMost ? id : 0;
    values.assign(data, data + (tensor != 0 ? count : 0));
  }
  void Forget() { tensor = 0; }
};

/// What one environment owns of the CUDA backend besides its tensors. Ops are functions of the binding files: they check
/// shapes and call a wn_* op on the stream.
struct Engine {
  explicit Engine(std::shared_ptr<Device> device) : device(device), weights(device), caches(device) {}

  std::shared_ptr<Device> device;
  WeightStore weights;
  CacheStore caches;
  UploadedCounts last_counts;

  /// Memory of an op between calls, by the op's name: zero when new, at least `bytes`.
  Status Workspace(const std::string& op, size_t bytes, std::byte** out) {
    auto found = workspaces_.try_emplace(op, device).first;
    WINNOW_TRY(found->second.Need(bytes));
    *out = found->second.data();
    return {};
  }

 private:
  std::map<std::string, Buffer> workspaces_;
};

}  // namespace winnow::gpu
