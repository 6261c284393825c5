#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cache.h"
#include "device.h"
#include "known_values.h"
#include "weights.h"

namespace winnow::gpu {

/// What one environment owns of the CUDA backend besides its tensors. Ops are functions of the binding files: they check
/// shapes and call a wn_* op on the stream.
struct Engine {
  explicit Engine(std::shared_ptr<Device> device) : device(device), weights(device), caches(device) {}

  std::shared_ptr<Device> device;
  WeightStore weights;
  CacheStore caches;
  KnownValues known;

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
