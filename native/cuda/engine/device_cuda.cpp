#include <cuda.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "device.h"
#include "staging.h"

/// GPU 0. Blocks come from the driver's stream-ordered pool, which keeps what was freed; page ranges are mapped piece by piece.
namespace winnow::gpu {

namespace {

constexpr size_t kRangeStep = size_t{64} << 20;

Status Failed(cudaError_t error, const char* where) {
  if (error == cudaSuccess) return {};
  cudaGetLastError();
  if (error == cudaErrorMemoryAllocation) {
    return Status::Fail(Code::kOutOfMemory, where, "enough device memory", "none", "Use a shorter context or fewer forks.");
  }
  return Status::Fail(Code::kInternal, where, "no CUDA error", cudaGetErrorName(error));
}

/// Functions of the driver, looked up at run time so that the addon loads where there is none.
struct DriverMemory {
  decltype(&cuMemAddressReserve) reserve = nullptr;
  decltype(&cuMemAddressFree) free_address = nullptr;
  decltype(&cuMemCreate) create = nullptr;
  decltype(&cuMemRelease) release = nullptr;
  decltype(&cuMemMap) map = nullptr;
  decltype(&cuMemUnmap) unmap = nullptr;
  decltype(&cuMemSetAccess) set_access = nullptr;

  Status Load() {
    WINNOW_TRY(Find("cuMemAddressReserve", &reserve));
    WINNOW_TRY(Find("cuMemAddressFree", &free_address));
    WINNOW_TRY(Find("cuMemCreate", &create));
    WINNOW_TRY(Find("cuMemRelease", &release));
    WINNOW_TRY(Find("cuMemMap", &map));
    WINNOW_TRY(Find("cuMemUnmap", &unmap));
    return Find("cuMemSetAccess", &set_access);
  }

 private:
  template <class F>
  static Status Find(const char* name, F* out) {
    void* symbol = nullptr;
    cudaDriverEntryPointQueryResult found;
    WINNOW_TRY(Failed(cudaGetDriverEntryPointByVersion(name, &symbol, 12000, cudaEnableDefault, &found), name));
    if (found != cudaDriverEntryPointSuccess) return Status::Fail(Code::kUnsupported, "cuda", std::string("a driver with ") + name, "an older one");
    *out = reinterpret_cast<F>(symbol);
    return {};
  }
};

class CudaRange final : public GrowingRange {
 public:
  CudaRange(const DriverMemory& driver, int device, cudaStream_t stream) : driver_(driver), device_(device), stream_(stream) {}
  ~CudaRange() override {
    cudaStreamSynchronize(stream_);
    for (const Piece& piece : pieces_) {
      driver_.unmap(piece.at, piece.bytes);
      driver_.release(piece.handle);
    }
    if (base_ != nullptr) driver_.free_address(reinterpret_cast<CUdeviceptr>(base_), most_);
  }

  Status Open(size_t most) {
    CUdeviceptr base = 0;
    if (driver_.reserve(&base, most, 0, 0, 0) != CUDA_SUCCESS) return OutOf(most);
    base_ = reinterpret_cast<std::byte*>(base);
    most_ = most;
    return {};
  }

  Status Grow(size_t bytes) override {
    if (bytes <= bytes_) return {};
    const size_t more = (bytes - bytes_ + kRangeStep - 1) / kRangeStep * kRangeStep;
    if (bytes_ + more > most_) return OutOf(bytes_ + more);
    CUmemAllocationProp properties{};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_};
    CUmemGenericAllocationHandle handle;
    if (driver_.create(&handle, more, &properties, 0) != CUDA_SUCCESS) {
      // What the pool of blocks keeps for reuse may be what is missing.
      cudaMemPool_t pool;
      if (cudaStreamSynchronize(stream_) != cudaSuccess || cudaDeviceGetDefaultMemPool(&pool, device_) != cudaSuccess ||
          cudaMemPoolTrimTo(pool, 0) != cudaSuccess || driver_.create(&handle, more, &properties, 0) != CUDA_SUCCESS) {
        return OutOf(more);
      }
    }
    const CUdeviceptr at = reinterpret_cast<CUdeviceptr>(base_) + bytes_;
    CUmemAccessDesc access{};
    access.location = properties.location;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    if (driver_.map(at, more, 0, handle, 0) != CUDA_SUCCESS) {
      driver_.release(handle);
      return OutOf(more);
    }
    pieces_.push_back({at, more, handle});
    if (driver_.set_access(at, more, &access, 1) != CUDA_SUCCESS) return OutOf(more);
    bytes_ += more;
    // A masked weight is 0, and 0 * NaN would be NaN: slots never written hold zeros.
    return Failed(cudaMemsetAsync(reinterpret_cast<void*>(at), 0, more, stream_), "cuda pages");
  }

  Status Shrink(size_t bytes) override {
    const CUdeviceptr kept = reinterpret_cast<CUdeviceptr>(base_) + bytes;
    if (pieces_.empty() || pieces_.back().at < kept) return {};
    WINNOW_TRY(Failed(cudaStreamSynchronize(stream_), "cuda pages"));
    while (!pieces_.empty() && pieces_.back().at >= kept) {
      const Piece& piece = pieces_.back();
      if (driver_.unmap(piece.at, piece.bytes) != CUDA_SUCCESS || driver_.release(piece.handle) != CUDA_SUCCESS) {
        return Status::Fail(Code::kInternal, "cuda pages", "memory to be given back", "an error of the driver");
      }
      bytes_ -= piece.bytes;
      pieces_.pop_back();
    }
    return {};
  }

 private:
  struct Piece {
    CUdeviceptr at;
    size_t bytes;
    CUmemGenericAllocationHandle handle;
  };
  static Status OutOf(size_t bytes) {
    return Status::Fail(Code::kOutOfMemory, "cuda", std::to_string(bytes) + " bytes of device memory for pages", "none",
                        "Use a shorter context or fewer forks.");
  }
  const DriverMemory& driver_;
  int device_;
  cudaStream_t stream_;
  size_t most_ = 0;
  std::vector<Piece> pieces_;
};

class CudaGraph final : public DeviceGraph {
 public:
  CudaGraph(cudaGraphExec_t executable, cudaStream_t stream) : executable_(executable), stream_(stream) {}
  ~CudaGraph() override { cudaGraphExecDestroy(executable_); }
  Status Launch() override { return Failed(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t executable_;
  cudaStream_t stream_;
};

class CudaDevice final : public Device {
 public:
  ~CudaDevice() override {
    if (stream_ != nullptr) cudaStreamSynchronize(stream_);
    steps_.Drop();
    staging_.reset();
    if (arrived_ != nullptr) cudaEventDestroy(arrived_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  Status Open() {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
      cudaGetLastError();
      return Status::Fail(Code::kUnsupported, "backend cuda", "an NVIDIA driver and a GPU",
                          error == cudaSuccess ? "no device" : cudaGetErrorName(error), "Use --backend cpu.");
    }
    WINNOW_TRY(Failed(cudaSetDevice(0), "cudaSetDevice"));
    cudaDeviceProp properties{};
    WINNOW_TRY(Failed(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties"));
    facts_.name = properties.name;
    char bus[32] = "";
    if (cudaDeviceGetPCIBusId(bus, sizeof(bus), 0) == cudaSuccess) facts_.pci_bus_id = bus;
    facts_.compute_major = properties.major;
    facts_.compute_minor = properties.minor;
    facts_.num_multiprocessors = properties.multiProcessorCount;
    facts_.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    facts_.l2_bytes = properties.l2CacheSize;
    cudaDriverGetVersion(&facts_.driver_version);
    cudaRuntimeGetVersion(&facts_.runtime_version);
    if (facts_.compute_major < 8) {
      return Status::Fail(Code::kUnsupported, "backend cuda", "compute capability 8.0 or newer",
                          std::to_string(facts_.compute_major) + "." + std::to_string(facts_.compute_minor), "Use --backend cpu.");
    }
    WINNOW_TRY(Failed(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"));
    cudaMemPool_t pool;
    WINNOW_TRY(Failed(cudaDeviceGetDefaultMemPool(&pool, 0), "cudaDeviceGetDefaultMemPool"));
    uint64_t keep = UINT64_MAX;
    WINNOW_TRY(Failed(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute"));
    WINNOW_TRY(driver_.Load());
    WINNOW_TRY(Failed(cudaEventCreateWithFlags(&arrived_, cudaEventDisableTiming), "cudaEventCreate"));
    staging_ = std::make_unique<Staging>(stream_);
    return Failed(staging_->Open(), "cudaMallocHost");
  }

  const DeviceFacts& facts() const override { return facts_; }

  std::byte* Allocate(size_t bytes) override {
    void* block = nullptr;
    if (cudaMallocAsync(&block, bytes, stream_) != cudaSuccess) {
      cudaGetLastError();
      return nullptr;
    }
    CountBytes(static_cast<int64_t>(bytes));
    return static_cast<std::byte*>(block);
  }
  void Free(std::byte* block, size_t bytes) override {
    SettleQuietly();
    if (cudaFreeAsync(block, stream_) == cudaSuccess) CountBytes(-static_cast<int64_t>(bytes));
  }
  void Zero(std::byte* block, size_t bytes) override {
    if (!zeroes_blocks_) return;
    SettleQuietly();
    cudaMemsetAsync(block, 0, bytes, stream_);
  }
  // The driver's pool keeps freed blocks itself; the table's own lists only spare calls for small ones.
  size_t cache_limit() const override { return size_t{256} << 20; }

  Status CopyUp(void* to, const void* from, size_t bytes) override {
    WINNOW_TRY(Settle());
    return CopyUpAhead(to, from, bytes);
  }
  Status CopyUpAhead(void* to, const void* from, size_t bytes) override {
    auto* target = static_cast<std::byte*>(to);
    auto* source = static_cast<const std::byte*>(from);
    while (bytes > 0) {
      const size_t part = bytes < Staging::kMost ? bytes : Staging::kMost;
      const Staging::Place place = staging_->Put(source, part);
      if (place.host == nullptr) return Failed(cudaErrorUnknown, "cuda staging");
      WINNOW_TRY(Failed(cudaMemcpyAsync(target, place.host, part, cudaMemcpyHostToDevice, stream_), "cuda upload"));
      target += part;
      source += part;
      bytes -= part;
    }
    return {};
  }
  Status CopyDown(void* to, const void* from, size_t bytes) override {
    counters_.host_reads++;
    WINNOW_TRY(Settle());
    // What goes to pinned memory does not make the host wait before it has prepared the next step.
    const bool is_small = bytes <= Staging::kMostDown;
    if (!is_small) BeforeWait();
    WINNOW_TRY(Failed(cudaMemcpyAsync(is_small ? staging_->down() : to, from, bytes, cudaMemcpyDeviceToHost, stream_), "cuda download"));
    if (!is_small) return Synchronise();
    WINNOW_TRY(Failed(cudaEventRecord(arrived_, stream_), "cuda download"));
    BeforeWait();
    WINNOW_TRY(Failed(cudaEventSynchronize(arrived_), "cuda download"));
    steps_.DeviceIsIdle();
    std::memcpy(to, staging_->down(), bytes);
    return {};
  }
  Status CopyAcross(void* to, const void* from, size_t bytes) override {
    WINNOW_TRY(Settle());
    return Failed(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "cuda copy");
  }
  Status Fill(void* to, uint8_t byte, size_t bytes) override {
    WINNOW_TRY(Settle());
    return Failed(cudaMemsetAsync(to, byte, bytes, stream_), "cuda fill");
  }
  Status Synchronise() override {
    WINNOW_TRY(Settle());
    BeforeWait();
    steps_.DeviceIsIdle();
    return Failed(cudaStreamSynchronize(stream_), "cuda synchronise");
  }
  Status CopyBandwidth(double* rate) override {
    constexpr size_t kBytes = size_t{1} << 30;
    WINNOW_TRY(Settle());
    *rate = 0;
    std::byte *from = Allocate(kBytes), *to = Allocate(kBytes);
    Status status;
    if (from == nullptr || to == nullptr) status = Status::Fail(Code::kOutOfMemory, "deviceCopyBandwidth", "2 GiB of device memory", "less");
    cudaEvent_t start = nullptr, end = nullptr;
    if (status.ok()) status = Failed(cudaEventCreate(&start), "cudaEventCreate");
    if (status.ok()) status = Failed(cudaEventCreate(&end), "cudaEventCreate");
    for (int run = 0; run < 6 && status.ok(); run++) {
      cudaEventRecord(start, stream_);
      cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, stream_);
      cudaEventRecord(end, stream_);
      float milliseconds = 0;
      status = Failed(cudaEventSynchronize(end), "deviceCopyBandwidth");
      if (status.ok()) status = Failed(cudaEventElapsedTime(&milliseconds, start, end), "deviceCopyBandwidth");
      if (status.ok()) *rate = std::max(*rate, 2e-6 * kBytes / milliseconds);
    }
    if (start != nullptr) cudaEventDestroy(start);
    if (end != nullptr) cudaEventDestroy(end);
    if (from != nullptr) Free(from, kBytes);
    if (to != nullptr) Free(to, kBytes);
    return status;
  }
  Status Reserve(size_t most, std::unique_ptr<GrowingRange>* out) override {
    auto range = std::make_unique<CudaRange>(driver_, 0, stream_);
    WINNOW_TRY(range->Open((most + kRangeStep - 1) / kRangeStep * kRangeStep));
    *out = std::move(range);
    return {};
  }

 private:
  const void* StageBytes(const void* host, size_t bytes) override {
    if (bytes > Staging::kMost) return nullptr;
    SettleQuietly();
    const Staging::Place place = staging_->Put(host, bytes);
    if (place.host == nullptr || cudaMemcpyAsync(place.device, place.host, bytes, cudaMemcpyHostToDevice, stream_) != cudaSuccess) {
      return nullptr;
    }
    return place.device;
  }

  void* stream_handle() const override { return stream_; }
  Status Capture(const OpList& list, std::unique_ptr<DeviceGraph>* out) override {
    WINNOW_TRY(Failed(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture"));
    Status status = list.Issue(stream_);
    cudaGraph_t graph = nullptr;
    Status ended = Failed(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    if (status.ok()) status = std::move(ended);
    cudaGraphExec_t executable = nullptr;
    if (status.ok()) status = Failed(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (status.ok()) *out = std::make_unique<CudaGraph>(executable, stream_);
    return status;
  }

  DeviceFacts facts_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t arrived_ = nullptr;  ///< of the last small download
  DriverMemory driver_;
  std::unique_ptr<Staging> staging_;
};

}  // namespace

Status OpenDevice(std::shared_ptr<Device>* out) {
  auto device = std::make_shared<CudaDevice>();
  WINNOW_TRY(device->Open());
  *out = std::move(device);
  return {};
}

}  // namespace winnow::gpu
