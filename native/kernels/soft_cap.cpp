#include "soft_cap.h"

#include <algorithm>

#include "pool.h"

namespace winnow {

Status SoftCap(const Context& context, const SoftCapParams& p) {
  if (!(p.cap > 0 && p.cap <= 1e30f)) return Status::Shape("softCap.cap", "a positive number", std::to_string(p.cap));
  const SoftCapKernels& kernels = Kernels<SoftCapKernels>(context.isa);
  // Whole vectors in every part, so that no lane is a tail in one split and not in another.
  constexpr int64_t kChunk = 4096;
  Pool::Instance().ParallelRanges((p.count + kChunk - 1) / kChunk, 2, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kChunk;
    kernels.range(p.x + first, std::min(p.count, end * kChunk) - first, p.cap);
  });
  return {};
}

void CapLogits(Isa isa, float cap, float unit, int64_t count, float* x) {
  Kernels<SoftCapKernels>(isa).range(x, count, cap);
  for (int64_t i = 0; unit != 1.0f && i < count; i++) x[i] *= unit;
}

}  // namespace winnow
