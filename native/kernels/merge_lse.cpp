#include "merge_lse.h"

#include "pool.h"

namespace winnow {

Status MergeLse(const Context& context, const MergeLseParams& params) {
  if (params.num_parts < 1) return Status::Shape("mergeLse.outs", "at least one part", std::to_string(params.num_parts));
  const MergeLseKernels& kernels = Kernels<MergeLseKernels>(context.isa);
  Pool::Instance().ParallelRanges(params.rows, 64,
                                  [&](int64_t begin, int64_t end) { kernels.rows(params, begin, end); });
  return Status();
}

}  // namespace winnow
