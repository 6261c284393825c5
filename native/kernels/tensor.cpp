#include "tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <algorithm>
#include <unordered_map>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace winnow {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;
/// Bytes of freed storage kept for reuse: the activations of one prefill chunk, well below the 400 MB a run may use.
constexpr size_t kCacheLimit = size_t{96} << 20;
constexpr uint32_t kSlotBits = 21;  // 2 million live tensors; the other 11 bits are the generation

/// Sizes are rounded up in steps of an eighth, so that chunks of nearly equal length share a class.
size_t RoundedSize(size_t bytes) {
  size_t step = 64;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

}  // namespace

const char* NameOf(DType t) {
  switch (t) {
    case DType::kF32: return "f32";
    case DType::kBf16: return "bf16";
    case DType::kI32: return "i32";
    case DType::kU8: return "u8";
  }
  return "?";
}

void AlignedDelete::operator()(std::byte* p) const { std::free(p); }

AlignedBytes AllocateAligned(size_t bytes) {
  size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kAlignment;
  size_t rounded = bytes == 0 ? alignment : (bytes + alignment - 1) / alignment * alignment;
  if (rounded < bytes) return nullptr;
  auto* p = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
#if defined(__linux__)
  // Only a hint: without huge pages everything still works, with more TLB misses.
  if (p != nullptr && alignment == kHugePage) madvise(p, rounded, MADV_HUGEPAGE);
#endif
  return AlignedBytes(p);
}

std::string Describe(const Tensor& t) {
  std::string s = std::string(NameOf(t.dtype)) + " [";
  for (int i = 0; i < t.rank; i++) s += (i ? ", " : "") + std::to_string(t.dims[i]);
  return s + "]";
}

std::string Describe(DType dtype, std::initializer_list<int64_t> dims) {
  std::string s = std::string(NameOf(dtype)) + " [";
  bool first = true;
  for (int64_t d : dims) {
    s += (first ? "" : ", ") + (d < 0 ? std::string("any") : std::to_string(d));
    first = false;
  }
  return s + "]";
}

namespace {

class HostBlockSource final : public BlockSource {
 public:
  std::byte* Allocate(size_t bytes) override { return AllocateAligned(bytes).release(); }
  void Free(std::byte* block, size_t) override { AlignedDelete()(block); }
  void Zero(std::byte* block, size_t bytes) override { std::memset(block, 0, bytes); }
  size_t cache_limit() const override { return kCacheLimit; }
};

}  // namespace

std::shared_ptr<BlockSource> HostBlocks() { return std::make_shared<HostBlockSource>(); }

struct TensorTable::Arena {
  Arena(MemoryCounters& counters, std::shared_ptr<BlockSource> source) : counters(counters), source(std::move(source)) {}
  ~Arena() { ReleaseAll(); }

  void ReleaseAll() {
    for (auto& [size, blocks] : free_blocks)
      for (std::byte* p : blocks) source->Free(p, size);
    free_blocks.clear();
    cached = 0;
  }

  std::byte* Take(size_t size) {
    std::byte* p = nullptr;
    if (auto it = free_blocks.find(size); it != free_blocks.end() && !it->second.empty()) {
      p = it->second.back();
      it->second.pop_back();
      cached -= size;
    } else {
      p = source->Allocate(size);
      if (p == nullptr && cached > 0) {  // what lies idle in other sizes may be what is missing
        ReleaseAll();
        p = source->Allocate(size);
      }
      if (p == nullptr) return nullptr;
    }
    source->Zero(p, size);
    int64_t now = counters.tensor_bytes += static_cast<int64_t>(size);
    if (now > counters.tensor_peak_bytes) counters.tensor_peak_bytes = now;
    return p;
  }

  void Give(std::byte* p, size_t size) {
    counters.tensor_bytes -= static_cast<int64_t>(size);
    if (cached + size > source->cache_limit()) {
      source->Free(p, size);
      return;
    }
    free_blocks[size].push_back(p);
    cached += size;
  }

  MemoryCounters& counters;
  std::shared_ptr<BlockSource> source;
  std::unordered_map<size_t, std::vector<std::byte*>> free_blocks;
  size_t cached = 0;
};

TensorTable::TensorTable(MemoryCounters& counters, std::shared_ptr<BlockSource> source)
    : slots_(1), arena_(std::make_shared<Arena>(counters, std::move(source))) {}
TensorTable::~TensorTable() = default;

Status TensorTable::Make(DType dtype, const int64_t* dims, int rank, TensorId* out) {
  if (rank < 1 || rank > kMaxRank) {
    return Status::Shape("tensor.shape", "1 to " + std::to_string(kMaxRank) + " dimensions", std::to_string(rank));
  }
  Tensor t;
  t.dtype = dtype;
  t.rank = rank;
  int64_t size = 1;
  for (int i = 0; i < rank; i++) {
    t.dims[i] = dims[i];
    if (dims[i] < 0 || (dims[i] > 0 && size > (int64_t{1} << 40) / dims[i])) {
      return Status::Shape("tensor.shape", "dimensions >= 0 with a product below 2^40", std::to_string(dims[i]));
    }
    size *= dims[i];
  }
  size_t bytes = RoundedSize(std::max<size_t>(t.bytes(), 1));
  std::byte* p = arena_->Take(bytes);
  if (p == nullptr) {
    return Status::Fail(Code::kOutOfMemory, "tensor", std::to_string(bytes) + " bytes of memory", "none",
                        "Use a shorter context or fewer forks.");
  }
  t.data = p;
  t.storage = std::shared_ptr<void>(p, [arena = arena_, bytes](void* q) { arena->Give(static_cast<std::byte*>(q), bytes); });
  return Insert(std::move(t), out);
}

Status TensorTable::Insert(Tensor tensor, TensorId* out) {
  uint32_t index;
  if (!free_slots_.empty()) {
    index = free_slots_.back();
    free_slots_.pop_back();
  } else {
    index = static_cast<uint32_t>(slots_.size());
    if (index >> kSlotBits) return Status::Shape("tensor", "fewer than 2^21 live tensors", std::to_string(index));
    slots_.emplace_back();
  }
  Slot& slot = slots_[index];
  slot.tensor = std::move(tensor);
  slot.live = true;
  slot.scope = static_cast<int32_t>(scopes_.size());
  *out = slot.generation << kSlotBits | index;
  if (slot.scope > 0) scopes_.back().push_back(*out);
  return {};
}

const TensorTable::Slot* TensorTable::Find(TensorId t) const {
  uint32_t index = t & ((1u << kSlotBits) - 1);
  if (index == 0 || index >= slots_.size()) return nullptr;
  const Slot& slot = slots_[index];
  return slot.live && slot.generation == t >> kSlotBits ? &slot : nullptr;
}

Status TensorTable::Get(TensorId t, const char* where, const Tensor** out) const {
  const Slot* slot = Find(t);
  if (slot == nullptr) {
    return Status::Shape(where, "the id of a live tensor", t == 0 ? "0 (none)" : "an id that was freed or never made");
  }
  *out = &slot->tensor;
  return {};
}

Status TensorTable::Expect(TensorId t, const char* where, DType dtype, std::initializer_list<int64_t> dims,
                           Tensor* out) const {
  const Tensor* found;
  WINNOW_TRY(Get(t, where, &found));
  bool fits = found->dtype == dtype && found->rank == static_cast<int>(dims.size());
  int axis = 0;
  for (int64_t d : dims) {
    if (fits && d >= 0 && found->dims[axis] != d) fits = false;
    axis++;
  }
  if (!fits) return Status::Shape(where, Describe(dtype, dims), Describe(*found));
  *out = *found;
  return {};
}

Status TensorTable::Slice(TensorId t, int64_t start, int64_t count, TensorId* out) {
  const Tensor* whole;
  WINNOW_TRY(Get(t, "slice.t", &whole));
  if (start < 0 || count < 0 || start > whole->dims[0] - count) {
    return Status::Shape("slice.start, count", "rows inside [0, " + std::to_string(whole->dims[0]) + ")",
                         std::to_string(start) + ", " + std::to_string(count));
  }
  Tensor part = *whole;
  size_t row = 1;
  for (int i = 1; i < part.rank; i++) row *= static_cast<size_t>(part.dims[i]);
  part.dims[0] = count;
  part.data += static_cast<size_t>(start) * row * SizeOf(part.dtype);
  return Insert(std::move(part), out);
}

Status TensorTable::Reshape(TensorId t, const int64_t* dims, int rank, TensorId* out) {
  const Tensor* old;
  WINNOW_TRY(Get(t, "reshape.t", &old));
  if (rank < 1 || rank > kMaxRank) return Status::Shape("reshape.shape", "1 to 6 dimensions", std::to_string(rank));
  Tensor renamed = *old;
  renamed.rank = rank;
  // Checked by division, so that a product that overflows is not mistaken for the right size.
  int64_t left = old->size();
  bool fits = true;
  for (int i = 0; i < rank; i++) {
    renamed.dims[i] = dims[i];
    if (dims[i] < 0 || (dims[i] > 0 && left % dims[i] != 0)) fits = false;
    if (dims[i] > 0) left /= dims[i];
    if (dims[i] == 0) left = old->size() == 0 ? 1 : left;
  }
  if (!fits || (old->size() != 0 ? left != 1 || renamed.size() != old->size() : renamed.size() != 0)) {
    return Status::Shape("reshape.shape", "the size of " + Describe(*old), Describe(renamed));
  }
  return Insert(std::move(renamed), out);
}

Status TensorTable::Free(TensorId t) {
  if (Find(t) == nullptr) return Status::Shape("free.t", "the id of a live tensor", std::to_string(t));
  uint32_t index = t & ((1u << kSlotBits) - 1);
  Slot& slot = slots_[index];
  slot.tensor = Tensor{};
  slot.live = false;
  slot.generation = slot.generation == (1u << (32 - kSlotBits)) - 1 ? 1 : slot.generation + 1;
  free_slots_.push_back(index);
  return {};
}

int32_t TensorTable::OpenScope() {
  scopes_.emplace_back();
  return static_cast<int32_t>(scopes_.size());
}

Status TensorTable::CloseScope(int32_t scope) {
  if (scope != static_cast<int32_t>(scopes_.size()) || scope == 0) {
    return Status::Shape("closeScope.scope", "the innermost open scope (" + std::to_string(scopes_.size()) + ")",
                         std::to_string(scope));
  }
  for (TensorId t : scopes_.back()) {
    const Slot* slot = Find(t);
    if (slot != nullptr && slot->scope == scope) (void)Free(t);
  }
  scopes_.pop_back();
  return {};
}

Status TensorTable::Keep(TensorId t) {
  if (Find(t) == nullptr) return Status::Shape("keep.t", "the id of a live tensor", std::to_string(t));
  slots_[t & ((1u << kSlotBits) - 1)].scope = 0;
  return {};
}

}  // namespace winnow
