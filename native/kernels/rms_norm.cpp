#include "rms_norm.h"

#include "pool.h"

namespace winnow {

Status RmsNorm(const Context& context, const RmsNormParams& p) {
  if (p.width < 1) return Status::Shape("rmsNorm.x", "rows of at least one value", std::to_string(p.width));
  if (p.out_type != DType::kF32 && p.out_type != DType::kBf16) return Status::Shape("rmsNorm.out", "f32 or bf16", NameOf(p.out_type));
  if (p.accumulate && p.out_type != DType::kF32) return Status::Shape("rmsNormAdd.out", "f32", NameOf(p.out_type));
  const RmsNormKernels& kernels = Kernels<RmsNormKernels>(context.isa);
  int64_t grain = 1 + 16384 / p.width;  // a hand-over costs about as much as norming 64 KB
  Pool::Instance().ParallelRanges(p.num_rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const float* x = p.x + t * p.width;
      if (p.accumulate) {
        kernels.row_add(x, p.gain, p.width, p.eps, p.gain_offset, static_cast<float*>(p.out) + t * p.width);
      } else if (p.out_type == DType::kF32) {
        kernels.row(x, p.gain, p.width, p.eps, p.gain_offset, static_cast<float*>(p.out) + t * p.width);
      } else {
        kernels.row_bf16(x, p.gain, p.width, p.eps, p.gain_offset, static_cast<uint16_t*>(p.out) + t * p.width);
      }
    }
  });
  return {};
}

}  // namespace winnow
