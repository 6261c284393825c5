#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <type_traits>
#include <vector>

#include "../../kernels/status.h"
#include "winnow_cuda/status.h"

/// Decode steps as graphs. The ops of a step are noted with their arguments rather than issued one by one; before anything else
/// may happen on the stream they are issued in their order. A list that has come before is issued by launching one graph.
namespace winnow::gpu {

/// Calls of wn_* ops, with copies of their arguments. Equal lists do the same to the same memory.
class OpList {
 public:
  using Run = WnStatus (*)(const void* params, void* stream);
  /// `op` is the Addon's name for it, a literal.
  void Add(const char* op, Run run, const void* params, size_t bytes);
  void Clear() {
    ops_.clear();
    params_.clear();
  }
  size_t size() const { return ops_.size(); }
  Status Issue(void* stream) const;
  bool operator==(const OpList& other) const;

 private:
  struct Op {
    const char* name;
    Run run;
    size_t at;
  };
  std::vector<Op> ops_;
  std::vector<std::byte> params_;
};

class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  virtual Status Launch() = 0;
};

/// Makes a graph of a list on the device that has it.
class GraphMaker {
 public:
  virtual ~GraphMaker() = default;
  virtual Status Capture(const OpList& list, std::unique_ptr<DeviceGraph>* out) = 0;
};

class StepGraphs {
 public:
  /// `head_start`: bytes of weights that ops issued at once read before later ones are noted, so that the device works while
  /// the host puts the rest together; negative: nothing is noted.
  explicit StepGraphs(int64_t head_start) : head_start_(head_start) {}

  /// Whether an op of a program that reads so many bytes of weights is to be noted. If not, it is issued at once.
  bool Notes(int64_t weight_bytes);
  void Add(const char* op, OpList::Run run, const void* params, size_t bytes) { noted_.Add(op, run, params, bytes); }
  bool has_noted() const { return noted_.size() > 0; }
  /// Issues what was noted. `launches` counts graphs.
  Status Settle(void* stream, GraphMaker& maker, int64_t* launches);
  /// The device has done all it was asked.
  void DeviceIsIdle() { started_ = 0; }
  void Drop() { known_.clear(); }

 private:
  /// A list that came once is issued op by op; the second time it becomes a graph, unless that failed.
  struct Known {
    OpList list;
    std::unique_ptr<DeviceGraph> graph;
    bool is_refused = false;
  };
  int64_t head_start_, started_ = 0;
  OpList noted_;
  std::list<Known> known_;  ///< last used first
};

/// MB: what WINNOW_CUDA_GRAPHS says, -1 where it is `off`.
int64_t HeadStartOfGraphs();

/// A copy whose padding is zero, so that equal arguments have equal bytes.
template <class Params>
Params WithoutPadding(const Params& params) {
  static_assert(std::is_trivially_copyable_v<Params>);
  Params copy = params;
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(&copy);
#endif
#endif
  return copy;
}

template <auto kOp, class Params>
WnStatus RunNoted(const void* params, void* stream) {
  return kOp(static_cast<const Params*>(params), stream);
}

}  // namespace winnow::gpu
