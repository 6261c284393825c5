#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "status.h"

namespace winnow {

enum class DType : int32_t { kF32, kBf16, kI32, kU8 };
constexpr size_t SizeOf(DType t) { return t == DType::kBf16 ? 2 : t == DType::kU8 ? 1 : 4; }
const char* NameOf(DType t);

constexpr int kMaxRank = 6;
constexpr size_t kAlignment = 64;

/// Bytes in use, for `memory()`. One per runtime; whoever owns the bytes updates its counter.
struct MemoryCounters {
  std::atomic<int64_t> tensor_bytes{0}, tensor_peak_bytes{0}, weight_bytes{0}, cache_bytes{0};
};

/// 64-byte aligned bytes. Large blocks are asked for as huge pages. Null when memory is out.
struct AlignedDelete {
  void operator()(std::byte* p) const;
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;
AlignedBytes AllocateAligned(size_t bytes);

/// Where tensors live: memory of this machine, or of a device that orders its work by a stream. The block source outlives its blocks.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  /// 64-byte aligned; null when memory is out.
  virtual std::byte* Allocate(size_t bytes) = 0;
  virtual void Free(std::byte* block, size_t bytes) = 0;
  virtual void Zero(std::byte* block, size_t bytes) = 0;
  /// Bytes of freed blocks that the table keeps for reuse.
  virtual size_t cache_limit() const = 0;
};
std::shared_ptr<BlockSource> HostBlocks();

/// One row-major tensor. Copies share storage; `data` stays valid as long as any copy or table entry lives.
struct Tensor {
  DType dtype = DType::kF32;
  int32_t rank = 0;
  std::array<int64_t, kMaxRank> dims{};
  std::byte* data = nullptr;
  std::shared_ptr<void> storage;

  int64_t dim(int axis) const { return dims[axis]; }
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    return n;
  }
  size_t bytes() const { return static_cast<size_t>(size()) * SizeOf(dtype); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

/// "f32 [3, 64]", for messages.
std::string Describe(const Tensor& t);
std::string Describe(DType dtype, std::initializer_list<int64_t> dims);

using TensorId = uint32_t;  ///< 0 is never valid

/// Id -> tensor. Ids carry a generation, so an id that was freed is refused and never another tensor.
///
/// Storage comes zero-filled from size-class free lists (a fresh mapping costs a page fault per 4 KiB).
class TensorTable {
 public:
  explicit TensorTable(MemoryCounters& counters, std::shared_ptr<BlockSource> source = HostBlocks());
  ~TensorTable();

  Status Make(DType dtype, const int64_t* dims, int rank, TensorId* out);
  Status Make(DType dtype, std::initializer_list<int64_t> dims, TensorId* out) {
    return Make(dtype, dims.begin(), static_cast<int>(dims.size()), out);
  }
  Status Slice(TensorId t, int64_t start, int64_t count, TensorId* out);
  Status Reshape(TensorId t, const int64_t* dims, int rank, TensorId* out);
  Status Free(TensorId t);
  /// The tensor of an id; `where` names the argument in the message ("rmsNorm.x"). The pointer dies with the next Make.
  Status Get(TensorId t, const char* where, const Tensor** out) const;
  /// Get, then check dtype and dims; a dim of -1 is free.
  Status Expect(TensorId t, const char* where, DType dtype, std::initializer_list<int64_t> dims, Tensor* out) const;

  int32_t OpenScope();
  Status CloseScope(int32_t scope);
  Status Keep(TensorId t);

 private:
  struct Slot {
    Tensor tensor;
    uint32_t generation = 1;
    int32_t scope = 0;  ///< 0: none
    bool live = false;
  };
  Status Insert(Tensor tensor, TensorId* out);
  const Slot* Find(TensorId t) const;

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<std::vector<TensorId>> scopes_;  ///< open scopes, innermost last
  struct Arena;
  std::shared_ptr<Arena> arena_;
};

}  // namespace winnow
