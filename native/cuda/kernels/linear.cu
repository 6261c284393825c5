#include "linear.h"

#include "device.cuh"
#include "element.cuh"
#include "winnow_cuda/elementwise.h"
#include "winnow_cuda/gated_activation.h"

namespace winnow {
namespace {

/// What one product without its gate and bias may use of cuBLASLt's own scratch.
constexpr int64_t kBlasBytes = int64_t{32} << 20;

/// Fewest tokens that the wide path serves where the device has it.
constexpr int64_t kWideFrom = 17;
/// Most tokens of a call that is not a step's for which weights are what it waits for.
constexpr int64_t kMostOfStep = 64;

int path_of(const WnLinearParams& p) {
  if (p.path != WN_LINEAR_CHOOSE && p.path != WN_LINEAR_CHOOSE_STEP) return p.path;
  if (p.num_tokens >= kWideFrom && (p.path == WN_LINEAR_CHOOSE_STEP || p.num_tokens <= kMostOfStep) &&
      device_attribute(cudaDevAttrComputeCapabilityMajor) == 9)
    return WN_LINEAR_WIDE;
  if (p.path == WN_LINEAR_CHOOSE_STEP || p.num_tokens <= 16) return WN_LINEAR_STEP;
  return has_blas() && aligned(p.out, 16) ? WN_LINEAR_BLAS : WN_LINEAR_TILE;
}
/// The product before the gate, bf16, rounded up to a whole number of lines.
int64_t product_bytes(const WnLinearParams& p) { return ceil_div(p.num_tokens * p.rows * 2, int64_t{256}) * 256; }

WnStatus product(const WnLinearParams& p, int path, void* stream) {
  if (path == WN_LINEAR_TILE) return linear_tile(p, stream);
  const WnStatus status = linear_blas(p, stream);
  if (status.code == WN_UNSUPPORTED && p.path == WN_LINEAR_CHOOSE) return linear_tile(p, stream);
  if (status.code || !p.bias) return status;
  WnElementwiseParams add{};
  add.x = add.out = p.out;
  add.y = p.bias;
  add.count = p.num_tokens * p.rows;
  add.row_len = p.rows;
  add.op = WN_ELEMENT_ADD_BIAS;
  add.x_type = add.out_type = p.out_type;
  return wn_elementwise(&add, stream);
}

}  // namespace
}  // namespace winnow

int64_t wn_linear_workspace_bytes(const WnLinearParams* params) {
  using namespace winnow;
  if (!params) return 0;
  const int path = path_of(*params);
  if (path == WN_LINEAR_STEP || path == WN_LINEAR_WIDE) return 0;
  return (path == WN_LINEAR_BLAS ? kBlasBytes : 0) + (params->gate ? product_bytes(*params) : 0);
}

WnStatus wn_linear(const WnLinearParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "linear: params is null");
  WnLinearParams p = *params;
  WN_REQUIRE(p.num_tokens >= 0 && p.rows > 0 && p.cols > 0 && p.cols % 8 == 0, "linear: counts, or cols no multiple of 8");
  if (p.num_tokens == 0) return ok();
  WN_REQUIRE(p.x && p.weight && p.out && aligned(p.x, 16) && aligned(p.weight, 16),
             "linear: null or misaligned pointer");
  WN_REQUIRE(is_float_type(p.out_type) && (!p.accumulate || p.out_type == WN_F32), "linear: out_type");
  WN_REQUIRE(p.gate >= WN_GATE_NONE && p.gate <= WN_GATE_GELU_TANH, "linear: unknown gate");
  WN_REQUIRE(!p.gate || (p.rows % 64 == 0 && !p.accumulate && !p.bias), "linear: gate with bias, sum, or rows no multiple of 64");
  WN_REQUIRE(p.variant == 0 || p.variant == 1 || p.variant == 2 || p.variant == 4 || p.variant == 8, "linear: unknown variant");
  WN_REQUIRE(p.path >= WN_LINEAR_CHOOSE && p.path <= WN_LINEAR_CHOOSE_STEP, "linear: unknown path");
  const int path = path_of(p);
  WN_REQUIRE(!p.norm_x || (path == WN_LINEAR_STEP && p.num_tokens == 1 && p.cols <= WN_LINEAR_NORM_COLS && p.norm_gain &&
                           aligned(p.norm_x, 16) && aligned(p.norm_gain, 16)),
             "linear: a norm of more than one token or 4096 columns, of another path, or misaligned");
  if (path == WN_LINEAR_STEP) return linear_step(p, stream);
  if (path == WN_LINEAR_WIDE) return linear_wide(p, stream);
  WN_REQUIRE(wn_linear_workspace_bytes(&p) == 0 || (p.workspace && p.workspace_bytes >= wn_linear_workspace_bytes(&p)),
             "linear: workspace");
  if (!p.gate) return product(p, path, stream);
  WnGatedActivationParams gate{p.workspace, p.out, p.num_tokens, p.rows / 2, WN_BF16, p.out_type, p.gate, 1};
  p.out = p.workspace;
  p.out_type = WN_BF16;
  p.gate = WN_GATE_NONE;
  p.workspace = static_cast<char*>(p.workspace) + product_bytes(p);
  const WnStatus status = product(p, path, stream);
  return status.code ? status : wn_gated_activation(&gate, stream);
}
