#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"

namespace winnow {

struct SoftCapParams {
  float* x;
  int64_t count;
  float cap;
};

/// Soft cap of logits, in place.
///
///   x = cap * tanh(x / cap)
///
/// Shapes    x  [count]  f32
/// Limits    cap > 0 and finite; NaN stays NaN, infinities become +-cap
/// Error     relative RMS against fp64 <= 5e-7; the same bits on every instruction set
/// Cost      reads and writes each value once; no allocation
/// Returns   Status with code and message; never throws, prints or exits
Status SoftCap(const Context& context, const SoftCapParams& params);

struct SoftCapKernels {
  void (*range)(float* x, int64_t count, float cap);
};
WINNOW_DECLARE_KERNELS(SoftCapKernels);

/// x = unit * cap * tanh(x / cap) of attention logits, for kernels that take them in another unit than nats.
void CapLogits(Isa isa, float cap, float unit, int64_t count, float* x);

/// The naive fp64 form of one value.
double SoftCapReference(double x, double cap);

}  // namespace winnow
