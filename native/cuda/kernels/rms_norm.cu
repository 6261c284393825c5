#include "winnow_cuda/rms_norm.h"

#include "element.cuh"
#include "row_norm.cuh"

namespace winnow {
namespace {

constexpr int kThreads = kNormThreads;

struct RmsNormArgs {
  WnRmsNormParams p;
};

WN_DEVICE void store_normed(const WnRmsNormParams& p, int64_t i, float y) {
  if (p.accumulate)
    static_cast<float*>(p.out)[i] += y;
  else
    store_element(p.out, i, p.out_type, y);
}

/// A block per row of any width, read a second time from the first-level cache.
__global__ void __launch_bounds__(kThreads) rms_norm_kernel(const __grid_constant__ RmsNormArgs args) {
  const WnRmsNormParams& p = args.p;
  let_successor_start();
  wait_for_predecessor();
  const int64_t offset = static_cast<int64_t>(blockIdx.x) * p.width;
  const float* x = p.x + offset;
  float sum = 0;
  for (int i = threadIdx.x; i < p.width; i += kThreads) sum += x[i] * x[i];
  __shared__ float sums[kNormWarps];
  const float factor = rsqrtf(block_sum(sum, sums) / static_cast<float>(p.width) + p.epsilon);
  for (int i = threadIdx.x; i < p.width; i += kThreads) store_normed(p, offset + i, x[i] * factor * (p.gain[i] + p.gain_offset));
}

/// A block per row of at most kQuads quads a thread, which stay in registers: in a decode step the one row is all there is
/// to wait for, so all of it is asked for at once. Gains are asked for before the kernel ahead has ended, since behind the
/// weights that the next product asks for they would wait for the memory.
template <int kQuads>
__global__ void __launch_bounds__(kThreads) rms_norm_quads_kernel(const __grid_constant__ RmsNormArgs args) {
  const WnRmsNormParams& p = args.p;
  const int64_t offset = static_cast<int64_t>(blockIdx.x) * p.width;
  const int quads = p.width / 4;
  RowNorm<kQuads> row;
  row.load(row.gain, p.gain, quads);
  let_successor_start();
  wait_for_predecessor();
  row.load(row.x, p.x + offset, quads);
  __shared__ float sums[kNormWarps];
  const float factor = row.factor(p.width, p.epsilon, sums);
#pragma unroll
  for (int i = 0; i < kQuads; i++) {
    const int at = row.place(i);
    if (at >= quads) continue;
    const float4 y = row.value(i, factor, p.gain_offset);
    if (p.out_type == WN_BF16 && !p.accumulate) {
      reinterpret_cast<uint2*>(static_cast<__nv_bfloat16*>(p.out) + offset)[at] = pack_quad(y);
      continue;
    }
    store_normed(p, offset + 4 * at, y.x);
    store_normed(p, offset + 4 * at + 1, y.y);
    store_normed(p, offset + 4 * at + 2, y.z);
    store_normed(p, offset + 4 * at + 3, y.w);
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_rms_norm(const WnRmsNormParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "rms_norm: params is null");
  const WnRmsNormParams& p = *params;
  WN_REQUIRE(p.x && p.gain && p.out, "rms_norm: a required pointer is null");
  WN_REQUIRE(p.num_rows >= 0 && p.num_rows < (1LL << 31) && p.width > 0, "rms_norm: counts");
  WN_REQUIRE(is_float_type(p.out_type) && (!p.accumulate || p.out_type == WN_F32), "rms_norm: out_type");
  if (p.num_rows == 0) return ok();
  const RmsNormArgs args{p};
  const bool has_quads = p.width % 4 == 0 && aligned(p.x, 16) && aligned(p.gain, 16) && aligned(p.out, 8);
  const auto kernel = has_quads && p.width <= 16 * kThreads   ? rms_norm_quads_kernel<4>
                      : has_quads && p.width <= 32 * kThreads ? rms_norm_quads_kernel<8>
                                                              : rms_norm_kernel;
  return cuda_status(
      launch_early(kernel, dim3(static_cast<unsigned>(p.num_rows)), dim3(kThreads), 0, static_cast<cudaStream_t>(stream), args),
      "rms_norm");
}
