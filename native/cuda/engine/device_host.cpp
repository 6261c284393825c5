#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "device.h"

/// The host as a device: memory is malloc's, every op has ended when its call returns.
namespace winnow::gpu {

namespace {

constexpr size_t kSystemPage = 4096;

class HostRange final : public GrowingRange {
 public:
  HostRange(std::byte* base, size_t most) : most_(most) { base_ = base; }
  ~HostRange() override { munmap(base_, most_); }
  Status Grow(size_t bytes) override {
    if (bytes <= bytes_) return {};
    if (bytes > most_) {
      return Status::Fail(Code::kOutOfMemory, "cuda", std::to_string(bytes) + " bytes of pages", std::to_string(most_),
                          "Use a shorter context or fewer forks.");
    }
    bytes_ = bytes;  // fresh anonymous pages are zero
    return {};
  }
  Status Shrink(size_t bytes) override {
    const size_t kept = (bytes + kSystemPage - 1) / kSystemPage * kSystemPage;
    if (kept >= bytes_) return {};
    madvise(base_ + kept, bytes_ - kept, MADV_DONTNEED);
    bytes_ = kept;
    return {};
  }

 private:
  size_t most_;
};

/// Issues its list again.
class HostGraph final : public DeviceGraph {
 public:
  explicit HostGraph(OpList list) : list_(std::move(list)) {}
  Status Launch() override { return list_.Issue(nullptr); }

 private:
  OpList list_;
};

class HostDevice final : public Device {
 public:
  HostDevice() {
    facts_.name = "host stand-in for a CUDA device";
    facts_.pci_bus_id = "host";
    facts_.is_host = true;
    facts_.num_multiprocessors = 1;
    facts_.memory_bytes = int64_t{16} << 30;
  }

  const DeviceFacts& facts() const override { return facts_; }

  std::byte* Allocate(size_t bytes) override {
    CountBytes(static_cast<int64_t>(bytes));
    return AllocateAligned(bytes).release();
  }
  void Free(std::byte* block, size_t bytes) override {
    SettleQuietly();
    CountBytes(-static_cast<int64_t>(bytes));
    AlignedDelete()(block);
  }
  void Zero(std::byte* block, size_t bytes) override {
    if (!zeroes_blocks_) return;
    SettleQuietly();
    std::memset(block, 0, bytes);
  }
  size_t cache_limit() const override { return size_t{64} << 20; }

  Status CopyUp(void* to, const void* from, size_t bytes) override { return Move(to, from, bytes); }
  Status CopyUpAhead(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) std::memmove(to, from, bytes);
    return {};
  }
  Status CopyDown(void* to, const void* from, size_t bytes) override {
    counters_.host_reads++;
    WINNOW_TRY(Move(to, from, bytes));
    BeforeWait();
    steps_.DeviceIsIdle();
    return {};
  }
  Status CopyAcross(void* to, const void* from, size_t bytes) override { return Move(to, from, bytes); }
  Status Fill(void* to, uint8_t byte, size_t bytes) override {
    WINNOW_TRY(Settle());
    if (bytes > 0) std::memset(to, byte, bytes);
    return {};
  }
  Status Synchronise() override {
    WINNOW_TRY(Settle());
    BeforeWait();
    steps_.DeviceIsIdle();
    return {};
  }
  Status CopyBandwidth(double* rate) override {
    constexpr size_t kBytes = size_t{32} << 20;
    const AlignedBytes from = AllocateAligned(kBytes), to = AllocateAligned(kBytes);
    std::memset(from.get(), 1, kBytes);
    *rate = 0;
    for (int run = 0; run < 4; run++) {
      const auto start = std::chrono::steady_clock::now();
      std::memcpy(to.get(), from.get(), kBytes);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      *rate = std::max(*rate, 2e-9 * kBytes / seconds.count());
    }
    return {};
  }
  Status Reserve(size_t most, std::unique_ptr<GrowingRange>* out) override {
    void* base = mmap(nullptr, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
      return Status::Fail(Code::kOutOfMemory, "cuda", std::to_string(most) + " bytes of address space", "none");
    }
    *out = std::make_unique<HostRange>(static_cast<std::byte*>(base), most);
    return {};
  }

 private:
  Status Move(void* to, const void* from, size_t bytes) {
    WINNOW_TRY(Settle());
    if (bytes > 0) std::memmove(to, from, bytes);
    return {};
  }
  const void* StageBytes(const void* host, size_t) override { return host; }
  void* stream_handle() const override { return nullptr; }
  Status Capture(const OpList& list, std::unique_ptr<DeviceGraph>* out) override {
    *out = std::make_unique<HostGraph>(list);
    return {};
  }

  DeviceFacts facts_;
};

}  // namespace

Status OpenDevice(std::shared_ptr<Device>* out) {
  *out = std::make_shared<HostDevice>();
  return {};
}

}  // namespace winnow::gpu
