#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "../../kernels/tensor.h"

/// What the host knows of tensors without reading them, so that ops which must know how long their lists are need not wait for
/// the device. Whoever writes into a tensor that exists says so; results of ops are new tensors.
///
/// A fact about scores holds while they are numbers: where a model gives NaN, lists are shorter than said, padded with -1.
namespace winnow::gpu {

enum class Known {
  kValues,  ///< i32: all of them
  kFinite,  ///< f32 lists (with what follows axis 1): entries [0, first[list]) are finite, those behind are -inf or have no members
  kListed,  ///< i32 lists: first[list] entries, the last of which is last[list]
};

struct Fact {
  std::vector<int32_t> first, last;
};

class KnownValues {
 public:
  static constexpr size_t kMostValues = 65536, kMostTensors = 4096;

  void Remember(const Tensor& t, Known what, Fact fact);
  /// What is known of exactly this range of storage, or null.
  const Fact* Find(const Tensor& t, Known what) const;
  /// Something is written into the storage of t.
  void Forget(const Tensor& t) { entries_.erase(t.storage.get()); }

 private:
  struct Entry {
    std::weak_ptr<void> storage;  ///< tells a block from another one at its address
    const std::byte* data;
    Known what;
    Fact fact;
  };
  std::unordered_map<const void*, std::vector<Entry>> entries_;  ///< by storage
};

}  // namespace winnow::gpu
