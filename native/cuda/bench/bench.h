/// Kernel timing: launches captured into a graph, replayed, the median of the replays.
#ifndef WINNOW_CUDA_BENCH_H
#define WINNOW_CUDA_BENCH_H

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "winnow_cuda.h"

namespace winnow::bench {

/// One line of the result: `flop` and `bytes` are what one call must do, not what a kernel happens to.
struct Job {
  std::string name, solution, shape;  ///< shape is a JSON object
  double flop = 0, bytes = 0;
  int calls = 1;     ///< calls in a graph; they go through the input sets in turn
  std::string l2 = "inputs exceed the L2";
  std::function<WnStatus(int call, cudaStream_t stream)> launch;
  bool is_captured = true;  ///< false: launched one by one, as an engine without graphs does
};

class Bench {
 public:
  Bench(std::string filter, int repeats);
  ~Bench();
  bool wants(const std::string& name) const { return name.find(filter_) != std::string::npos; }
  void run(const Job& job) { run(std::vector<Job>{job}); }
  /// Rivals take turns, one replay each, so that clocks and temperature are the same for all.
  void run(const std::vector<Job>& rivals);
  /// Copies device to device and keeps the rate as the yardstick for `ofCopy`.
  void measure_copy();
  /// Freed at the next release(). Random normal bf16, `count` elements.
  uint16_t* random_bf16(int64_t count, double scale = 1);
  float* random_float(int64_t count);
  void* zeroed(int64_t bytes);
  int32_t* upload(const std::vector<int32_t>& host);
  void release();

 private:
  struct Replay {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    std::vector<double> times;
  };
  WnStatus issue(const Job& job);
  bool capture(const Job& job, Replay& replay);
  void report(const Job& job, Replay& replay);
  void* allocate(int64_t bytes);
  std::string filter_;
  int repeats_;
  double copy_gbps_ = 0;
  cudaStream_t stream_ = nullptr;
  std::vector<void*> blocks_;
  std::vector<uint16_t> pool_;
};

void bench_attention(Bench& bench);
void bench_sets(Bench& bench);
void bench_dense(Bench& bench);
void bench_packed_caches(Bench& bench);
void bench_selection(Bench& bench);
void bench_step(Bench& bench);

}  // namespace winnow::bench

#endif
