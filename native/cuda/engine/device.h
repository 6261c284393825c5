#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../kernels/status.h"
#include "../../kernels/tensor.h"
#include "step_graphs.h"
#include "winnow_cuda/rms_norm.h"
#include "winnow_cuda/status.h"

/// Where the engine's memory lives and its work runs: a GPU, or this machine standing in for one (the host build, in which
/// every wn_* op is its own reference). All calls come from one thread; work is ordered by one stream.
namespace winnow::gpu {

/// What a wn_* op answered, as the engine's own; `op` is the Addon's name for it.
Status FromWn(const WnStatus& status, const char* op);

struct DeviceFacts {
  std::string name, pci_bus_id;
  int compute_major = 0, compute_minor = 0, num_multiprocessors = 0;
  int driver_version = 0, runtime_version = 0;  ///< as CUDA reports them, 13000 = 13.0; 0 on the host
  int64_t memory_bytes = 0, l2_bytes = 0;
  bool is_host = false;
};

struct DeviceCounters {
  int64_t bytes = 0, peak_bytes = 0;  ///< everything taken from the device
  int64_t host_reads = 0;             ///< copies that made the host wait for results
  int64_t graph_launches = 0;         ///< lists of ops of a step that went as one graph
};

/// Addresses that never move while the memory behind them grows: kernels take one base pointer for all pages.
class GrowingRange {
 public:
  virtual ~GrowingRange() = default;
  std::byte* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  /// At least `bytes` usable from base(), new ones zero. ERR_OUT_OF_MEMORY changes nothing.
  virtual Status Grow(size_t bytes) = 0;
  /// Gives back memory beyond the first `bytes`, as far as whatever it came in lies there; waits for the device. base() stays.
  virtual Status Shrink(size_t bytes) = 0;

 protected:
  std::byte* base_ = nullptr;
  size_t bytes_ = 0;
};

class Device : public BlockSource, protected GraphMaker {
 public:
  virtual const DeviceFacts& facts() const = 0;
  /// cudaStream_t, for wn_* calls; what was noted has been issued.
  void* stream() {
    SettleQuietly();
    return stream_handle();
  }
  /// An op of a program: issued at once, or noted (step_graphs.h). kOp is the wn_* function; `weight_bytes` it reads of weights.
  template <auto kOp, class Params>
  Status Do(const char* op, const Params& params, int64_t weight_bytes) {
    WINNOW_TRY(IssueHeld());
    return Enter<kOp>(op, params, weight_bytes);
  }
  /// A norm of one row in a program: left out until the next op, which takes it if it is a product of that row.
  Status HoldNorm(const WnRmsNormParams& norm) {
    WINNOW_TRY(IssueHeld());
    held_norm_ = norm;
    return {};
  }
  /// The norm held whose result is at `out`, which the caller then does; null if none.
  std::optional<WnRmsNormParams> TakeNorm(const void* out) {
    if (!held_norm_ || held_norm_->out != out) return {};
    return std::exchange(held_norm_, std::nullopt);
  }
  /// From now on, in MB (StepGraphs).
  Status SetHeadStart(int64_t megabytes) {
    WINNOW_TRY(Settle());
    steps_ = StepGraphs(megabytes << 20);
    return {};
  }
  /// Of the list that is being noted; another one when that has been issued.
  uint64_t list_number() const { return list_number_; }
  bool has_noted() const { return steps_.has_noted(); }
  /// Called whenever the host is about to wait, with everything issued that it was asked for: what it does then costs nothing.
  void set_before_wait(std::function<void()> work) { before_wait_ = std::move(work); }
  /// A noted op that was refused when it was issued by what can tell nobody; once.
  Status TakeFailure() {
    Status failure;
    std::swap(failure, failure_);
    return failure;
  }

  /// Host bytes may be reused on return; the device is not waited for.
  virtual Status CopyUp(void* to, const void* from, size_t bytes) = 0;
  /// The same before what is noted, which must not have to do with that memory (see `list_number`).
  virtual Status CopyUpAhead(void* to, const void* from, size_t bytes) = 0;
  /// Waits for the device; one host read.
  virtual Status CopyDown(void* to, const void* from, size_t bytes) = 0;
  virtual Status CopyAcross(void* to, const void* from, size_t bytes) = 0;
  virtual Status Fill(void* to, uint8_t byte, size_t bytes) = 0;
  virtual Status Synchronise() = 0;
  /// GB/s read plus written by large copies, the best of a few.
  virtual Status CopyBandwidth(double* gigabytes_per_second) = 0;
  /// Address space for up to `most` bytes, none of them in use.
  virtual Status Reserve(size_t most, std::unique_ptr<GrowingRange>* out) = 0;

  /// Blocks handed out while this is off keep what they held: their owner writes all of them.
  void set_zeroes_blocks(bool on) { zeroes_blocks_ = on; }
  /// A copy of host bytes on the device for the op that is issued next, 16-byte aligned. Null when memory is out.
  template <class T>
  const T* Stage(const T* host, size_t count) {
    return static_cast<const T*>(StageBytes(host, count * sizeof(T)));
  }

  const DeviceCounters& counters() const { return counters_; }
  void ResetCounters() { counters_ = {.bytes = counters_.bytes, .peak_bytes = counters_.bytes}; }
  void CountBytes(int64_t delta) {
    counters_.bytes += delta;
    if (counters_.bytes > counters_.peak_bytes) counters_.peak_bytes = counters_.bytes;
  }

 protected:
  virtual const void* StageBytes(const void* host, size_t bytes) = 0;
  virtual void* stream_handle() const = 0;
  template <auto kOp, class Params>
  Status Enter(const char* op, const Params& params, int64_t weight_bytes) {
    if (!steps_.Notes(weight_bytes)) return FromWn(kOp(&params, stream()), op);
    const Params copy = WithoutPadding(params);
    steps_.Add(op, RunNoted<kOp, Params>, &copy, sizeof(copy));
    return {};
  }
  Status IssueHeld() {
    const std::optional<WnRmsNormParams> norm = std::exchange(held_norm_, std::nullopt);
    return norm ? Enter<wn_rms_norm>("rmsNorm", *norm, 0) : Status{};
  }
  /// First in whatever uses the stream: ops keep their order.
  Status Settle() {
    WINNOW_TRY(TakeFailure());
    WINNOW_TRY(IssueHeld());
    return steps_.has_noted() ? IssueNoted() : Status{};
  }
  void SettleQuietly() {
    Status held = IssueHeld();
    if (!held.ok()) failure_ = std::move(held);
    if (steps_.has_noted()) failure_ = IssueNoted();
  }
  Status IssueNoted() {
    list_number_++;
    return steps_.Settle(stream_handle(), *this, &counters_.graph_launches);
  }
  void BeforeWait() const {
    if (before_wait_) before_wait_();
  }
  DeviceCounters counters_;
  StepGraphs steps_{HeadStartOfGraphs() << 20};
  std::optional<WnRmsNormParams> held_norm_;
  Status failure_;
  uint64_t list_number_ = 0;
  std::function<void()> before_wait_;
  bool zeroes_blocks_ = true;
};

/// The device of this build: GPU 0, or the host. ERR_UNSUPPORTED without a driver or device.
Status OpenDevice(std::shared_ptr<Device>* out);

/// Device memory that an op keeps between calls, such as a workspace. Grows, never shrinks; new bytes are zero.
class Buffer {
 public:
  explicit Buffer(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  ~Buffer() { Drop(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : device_(std::move(other.device_)), data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  /// At least this many bytes; contents are lost (and zero) when it has to grow.
  Status Need(size_t bytes);

 private:
  void Drop();
  std::shared_ptr<Device> device_;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace winnow::gpu
