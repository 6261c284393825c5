#include "peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace winnow::bench {

namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Runs fn(thread) on `threads` threads that start together; the wall time of the slowest.
template <class F>
double Together(int threads, F fn) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> others;
  for (int t = 1; t < threads; t++) {
    others.emplace_back([&, t] {
      ready++;
      while (!go) std::this_thread::yield();
      fn(t);
    });
  }
  while (ready < threads - 1) std::this_thread::yield();
  double start = Seconds();
  go = true;
  fn(0);
  for (std::thread& other : others) other.join();
  return Seconds() - start;
}

}  // namespace

Status Peak(Isa isa, const std::string& kind, int threads, double* rate) {
  const PeakKernels& kernels = Kernels<PeakKernels>(isa);
  double (*run)(int64_t, float*) = nullptr;
  if (kind == "f32") run = kernels.f32;
  else if (kind == "bf16") run = kernels.bf16;
  else if (kind == "int8") run = kernels.int8;
  else return Status::Shape("benchPeak.kind", "f32, bf16 or int8", kind);
  *rate = 0;
  if (run == nullptr) return {};
  int64_t rounds = 1000;
  std::vector<float> sinks(static_cast<size_t>(threads) * 16);
  // Long enough that starting threads does not count, then the best of five: the peak is a ceiling.
  for (int i = 0; i < 12; i++) {
    double start = Seconds();
    run(rounds, &sinks[0]);
    if (Seconds() - start > 0.02) break;
    rounds *= 2;
  }
  for (int i = 0; i < 5; i++) {
    std::atomic<double> operations{0};
    double seconds = Together(threads, [&](int t) {
      double done = run(rounds, &sinks[static_cast<size_t>(t) * 16]);
      for (double old = operations; !operations.compare_exchange_weak(old, old + done);) {
      }
    });
    *rate = std::max(*rate, operations / seconds * 1e-9);
  }
  return {};
}

Status ReadBandwidth(Isa isa, int64_t megabytes, int threads, double* rate) {
  const PeakKernels& kernels = Kernels<PeakKernels>(isa);
  size_t bytes = static_cast<size_t>(megabytes) << 20;
  AlignedBytes buffer = AllocateAligned(bytes);
  if (buffer == nullptr) {
    return Status::Fail(Code::kOutOfMemory, "benchReadBandwidth", std::to_string(bytes) + " bytes of memory", "none");
  }
  auto* data = reinterpret_cast<float*>(buffer.get());
  int64_t count = static_cast<int64_t>(bytes / 4);
  for (int64_t i = 0; i < count; i++) data[i] = 1e-3f;
  std::vector<float> sinks(static_cast<size_t>(threads) * 16);
  *rate = 0;
  int64_t passes = std::max<int64_t>(1, 512 / megabytes);
  for (int i = 0; i < 5; i++) {
    double seconds = Together(threads, [&](int t) {
      int64_t begin = count * t / threads, end = count * (t + 1) / threads;
      for (int64_t pass = 0; pass < passes; pass++) sinks[static_cast<size_t>(t) * 16] += kernels.read(data + begin, end - begin);
    });
    *rate = std::max(*rate, static_cast<double>(bytes) * static_cast<double>(passes) / seconds * 1e-9);
  }
  return {};
}

}  // namespace winnow::bench
