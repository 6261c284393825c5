#include "argmax.h"

#include "pool.h"

namespace winnow {

Status Argmax(const Context& context, const ArgmaxParams& p) {
  if (p.width < 1 || p.width > INT32_MAX) return Status::Shape("argmax.logits", "1 to 2^31 - 1 values a row", std::to_string(p.width));
  const ArgmaxKernels& kernels = Kernels<ArgmaxKernels>(context.isa);
  Pool::Instance().ParallelRanges(p.num_rows, 1 + 32768 / p.width, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) p.out[t] = kernels.row(p.logits + t * p.width, p.width);
  });
  return {};
}

}  // namespace winnow
