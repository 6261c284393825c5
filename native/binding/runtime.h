#pragma once

#include <node_api.h>

#include <memory>

#include "../kernels/isa.h"
#include "../kernels/tensor.h"

namespace winnow {

class Call;         // call.h
class WeightTable;  // kernels/weights.h
class CacheTable;   // kernels/cache.h

/// Everything one JavaScript environment owns; the thread pool alone belongs to the process. The CUDA backend adds its own.
struct Runtime {
  explicit Runtime(std::shared_ptr<BlockSource> blocks = HostBlocks()) : tensors(memory, std::move(blocks)) {}
  virtual ~Runtime() = default;

  MemoryCounters memory;
  Context context;
  TensorTable tensors;
  std::shared_ptr<WeightTable> weights;  ///< made by init_dense
  std::shared_ptr<CacheTable> caches;    ///< made by init_cache
  napi_ref error_class = nullptr;        ///< WinnowError, given by the loader
  napi_value (*replayed[16])(Call&) = {};  ///< by op code, filled by Register
  int64_t native_nanoseconds = 0;        ///< time spent inside addon calls, for the overhead meter
};

}  // namespace winnow
