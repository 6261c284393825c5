#include "gated_activation.h"

#include "pool.h"

namespace winnow {

Status GatedActivation(const Context& context, const GatedActivationParams& p) {
  auto is_float = [](DType t) { return t == DType::kF32 || t == DType::kBf16; };
  if (!is_float(p.gate_up_type)) return Status::Shape("gatedActivation.gateUp", "f32 or bf16", NameOf(p.gate_up_type));
  if (!is_float(p.out_type)) return Status::Shape("gatedActivation.out", "f32 or bf16", NameOf(p.out_type));
  const GatedActivationKernels& kernels = Kernels<GatedActivationKernels>(context.isa);
  size_t in_size = SizeOf(p.gate_up_type), out_size = SizeOf(p.out_type);
  Pool::Instance().ParallelRanges(p.num_rows, 1 + 4096 / (p.width + 1), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      auto* gate = static_cast<const std::byte*>(p.gate_up) + static_cast<size_t>(2 * t * p.width) * in_size;
      kernels.row(gate, gate + static_cast<size_t>(p.width) * in_size, in_size == 2, p.kind, p.width,
                  static_cast<std::byte*>(p.out) + static_cast<size_t>(t * p.width) * out_size, out_size == 2);
    }
  });
  return {};
}

}  // namespace winnow
