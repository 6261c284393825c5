#pragma once

#include <cstdint>
#include <string>

#include "../kernels/isa.h"
#include "../kernels/status.h"

namespace winnow::bench {

/// Highest rate of multiply-adds of a kind ("f32", "bf16", "int8") over `threads` threads, in GFLOP/s (2 per
/// multiply-add), from registers alone; 0 where the instruction set has no such product.
Status Peak(Isa isa, const std::string& kind, int threads, double* rate);

/// Rate of reading a buffer of `megabytes` over and over, in GB/s.
Status ReadBandwidth(Isa isa, int64_t megabytes, int threads, double* rate);

struct PeakKernels {
  /// Runs `rounds` rounds and returns the operations done; the sum of all registers goes to *sink.
  double (*f32)(int64_t rounds, float* sink);
  double (*bf16)(int64_t rounds, float* sink);
  double (*int8)(int64_t rounds, float* sink);
  float (*read)(const float* data, int64_t count);
};

}  // namespace winnow::bench

namespace winnow {
using bench::PeakKernels;
WINNOW_DECLARE_KERNELS(PeakKernels);
}  // namespace winnow
