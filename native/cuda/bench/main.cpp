/// Kernel benchmark: winnow_cuda_bench [--filter TEXT] [--repeats N]. One JSON line per kernel and shape.
///
/// Times are medians over graph replays after a warm-up, inputs are random normals, the state of the L2 is stated, and
/// the copy bandwidth of the same run is the yardstick. Run the tests first: nothing here looks at the results.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "bench.h"

namespace winnow::bench {
namespace {

bool failed(cudaError_t error, const std::string& where) {
  if (error == cudaSuccess) return false;
  std::printf("{\"name\":\"%s\",\"status\":\"failed\",\"detail\":\"%s\"}\n", where.c_str(), cudaGetErrorName(error));
  std::fflush(stdout);
  cudaGetLastError();
  return true;
}

}  // namespace

Bench::Bench(std::string filter, int repeats) : filter_(std::move(filter)), repeats_(repeats) {
  failed(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  std::mt19937 engine(1);
  std::normal_distribution<float> distribution;
  pool_.resize(1 << 22);
  for (auto& word : pool_) {
    const float x = distribution(engine);
    uint32_t bits;
    static_assert(sizeof(bits) == sizeof(x));
    __builtin_memcpy(&bits, &x, 4);
    word = static_cast<uint16_t>((bits + 0x8000) >> 16);
  }
}
Bench::~Bench() {
  release();
  cudaStreamDestroy(stream_);
}

void* Bench::allocate(int64_t bytes) {
  void* data = nullptr;
  if (failed(cudaMalloc(&data, bytes), "allocate")) return nullptr;
  blocks_.push_back(data);
  return data;
}
void Bench::release() {
  cudaDeviceSynchronize();
  for (void* block : blocks_) cudaFree(block);
  blocks_.clear();
}
void* Bench::zeroed(int64_t bytes) {
  void* data = allocate(bytes);
  if (data) failed(cudaMemset(data, 0, bytes), "zero");
  return data;
}
int32_t* Bench::upload(const std::vector<int32_t>& host) {
  auto* data = static_cast<int32_t*>(allocate(static_cast<int64_t>(host.size()) * 4));
  if (data) failed(cudaMemcpy(data, host.data(), host.size() * 4, cudaMemcpyHostToDevice), "upload");
  return data;
}
uint16_t* Bench::random_bf16(int64_t count, double scale) {
  auto* data = static_cast<uint16_t*>(allocate(count * 2));
  if (!data) return nullptr;
  const int64_t pool = static_cast<int64_t>(pool_.size());
  std::vector<uint16_t> scaled = pool_;
  if (scale != 1)
    for (auto& word : scaled) word = static_cast<uint16_t>(word + (static_cast<int>(std::log2(scale)) << 7));
  failed(cudaMemcpy(data, scaled.data(), std::min(count, pool) * 2, cudaMemcpyHostToDevice), "fill");
  for (int64_t done = pool; done < count; done *= 2)
    failed(cudaMemcpy(data + done, data, std::min(done, count - done) * 2, cudaMemcpyDeviceToDevice), "fill");
  return data;
}
float* Bench::random_float(int64_t count) {
  std::vector<float> host(count);
  std::mt19937 engine(2);
  std::normal_distribution<float> distribution;
  for (auto& x : host) x = std::exp(distribution(engine));
  auto* data = static_cast<float*>(allocate(count * 4));
  if (data) failed(cudaMemcpy(data, host.data(), count * 4, cudaMemcpyHostToDevice), "fill");
  return data;
}

WnStatus Bench::issue(const Job& job) {
  WnStatus status{};
  for (int call = 0; call < job.calls && status.code == WN_OK; call++) status = job.launch(call, stream_);
  return status;
}

bool Bench::capture(const Job& job, Replay& replay) {
  if (failed(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), job.name)) return false;
  const WnStatus status = issue(job);
  const cudaError_t captured = cudaStreamEndCapture(stream_, &replay.graph);
  if (status.code != WN_OK)
    std::printf("{\"name\":\"%s\",\"solution\":\"%s\",\"status\":\"failed\",\"detail\":\"%s\"}\n", job.name.c_str(),
                job.solution.c_str(), status.message);
  return status.code == WN_OK && !failed(captured, job.name) &&
         !failed(cudaGraphInstantiate(&replay.executable, replay.graph, 0), job.name);
}

void Bench::report(const Job& job, Replay& replay) {
  auto& times = replay.times;
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  const double ms = times[times.size() / 2];
  std::printf("{\"name\":\"%s\",\"solution\":\"%s\",\"shape\":%s,\"ms\":%.5f,\"msMin\":%.5f,\"msMax\":%.5f,"
              "\"repeats\":%zu,\"calls\":%d",
              job.name.c_str(), job.solution.c_str(), job.shape.c_str(), ms, times.front(), times.back(), times.size(),
              job.calls);
  if (job.flop > 0) std::printf(",\"tflops\":%.1f", job.flop / ms * 1e-9);
  if (job.bytes > 0) std::printf(",\"gbps\":%.1f", job.bytes / ms * 1e-6);
  if (job.bytes > 0 && copy_gbps_ > 0) std::printf(",\"ofCopy\":%.3f", job.bytes / ms * 1e-6 / copy_gbps_);
  std::printf(",\"l2\":\"%s\"}\n", job.l2.c_str());
  std::fflush(stdout);
}

void Bench::run(const std::vector<Job>& rivals) {
  std::vector<Replay> replays(rivals.size());
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  bool usable = wants(rivals[0].name);
  for (size_t i = 0; usable && i < rivals.size(); i++) usable = capture(rivals[i], replays[i]);
  double spent = 0;
  // At least five timed rounds after three warm ones, then stop after half a second: long kernels repeat well.
  for (int round = -3; usable && round < repeats_ && (round < 5 || spent < 500); round++)
    for (auto& replay : replays) {
      cudaEventRecord(begin, stream_);
      const Job& job = rivals[&replay - replays.data()];
      if (job.is_captured) cudaGraphLaunch(replay.executable, stream_);
      else issue(job);
      cudaEventRecord(end, stream_);
      if (failed(cudaStreamSynchronize(stream_), rivals[0].name)) {
        usable = false;
        break;
      }
      float ms = 0;
      cudaEventElapsedTime(&ms, begin, end);
      if (round >= 0) replay.times.push_back(ms / job.calls);
      if (round >= 0) spent += ms;
    }
  for (size_t i = 0; i < rivals.size(); i++) {
    if (usable) report(rivals[i], replays[i]);
    if (replays[i].executable) cudaGraphExecDestroy(replays[i].executable);
    if (replays[i].graph) cudaGraphDestroy(replays[i].graph);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
}

void Bench::measure_copy() {
  const int64_t bytes = int64_t{2} << 30;
  auto* source = random_bf16(bytes / 2);
  void* target = zeroed(bytes);
  std::vector<double> rates;
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  for (int i = 0; i < 12; i++) {
    cudaEventRecord(begin, stream_);
    cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, stream_);
    cudaEventRecord(end, stream_);
    if (failed(cudaStreamSynchronize(stream_), "copy")) break;
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    if (i >= 2) rates.push_back(2.0 * static_cast<double>(bytes) / ms * 1e-6);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  release();
  if (rates.empty()) return;
  std::sort(rates.begin(), rates.end());
  copy_gbps_ = rates[rates.size() / 2];
  std::printf("{\"name\":\"copy\",\"solution\":\"cudaMemcpyAsync\",\"shape\":{\"bytes\":%lld},\"gbps\":%.1f,\"detail\":\"read plus written\"}\n",
              static_cast<long long>(bytes), copy_gbps_);
  std::fflush(stdout);
}

namespace {

int run(int argc, char** argv) {
  std::string filter;
  int repeats = 40;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--filter") filter = argv[i + 1];
    if (flag == "--repeats") repeats = std::max(5, std::atoi(argv[i + 1]));
  }
  WnDeviceInfo info;
  const WnStatus status = wn_device_info(0, &info);
  if (status.code == WN_NO_DRIVER) {
    std::printf("{\"status\":\"no-driver\",\"driverError\":%d,\"runtimeVersion\":%d}\n", info.driver_error,
                info.runtime_version);
    return 0;
  }
  if (status.code != WN_OK) {
    std::printf("{\"status\":\"failed\",\"detail\":\"%s\"}\n", status.message);
    return 1;
  }
  std::printf("{\"device\":\"%s\",\"computeCapability\":\"%d.%d\",\"multiprocessors\":%d,\"l2Bytes\":%lld,\"driverVersion\":%d,\"runtimeVersion\":%d}\n",
              info.name, info.compute_major, info.compute_minor, info.num_multiprocessors,
              static_cast<long long>(info.l2_bytes), info.driver_version, info.runtime_version);
  std::fflush(stdout);
  Bench bench(filter, repeats);
  bench.measure_copy();
  bench_dense(bench);
  bench_step(bench);
  bench_selection(bench);
  bench_attention(bench);
  bench_packed_caches(bench);
  bench_sets(bench);
  return 0;
}

}  // namespace
}  // namespace winnow::bench

int main(int argc, char** argv) { return winnow::bench::run(argc, argv); }
