#include "winnow_cuda/elementwise.h"

#include "element.cuh"

namespace winnow {
namespace {

struct ElementArgs {
  WnElementwiseParams p;
};

WN_DEVICE float apply(const WnElementwiseParams& p, int64_t i, float x) {
  const auto* y = static_cast<const float*>(p.y);
  switch (p.op) {
    case WN_ELEMENT_SOFT_CAP: return p.a * tanhf(x / p.a);
    case WN_ELEMENT_AXPBY: {
      const float other = y ? y[i] : 0.0f;
      if (x == -INFINITY || other == -INFINITY) return -INFINITY;
      return y ? __fadd_rn(__fmul_rn(p.a, x), __fmul_rn(p.b, other)) : p.a * x;
    }
    case WN_ELEMENT_SCALE_ROWS: return x * y[i / p.row_len];
    case WN_ELEMENT_ADD_BIAS: return x + y[i % p.row_len];
    default: return x;
  }
}

WN_DEVICE float mix(const WnElementwiseParams& p, int64_t i) {
  const float* gates = static_cast<const float*>(p.y) + i / p.row_len * p.parts;
  float sum = 0;
  for (int part = 0; part < p.parts; part++)
    if (gates[part] != 0) sum += gates[part] * static_cast<const float*>(p.x)[part * p.count + i];
  return sum;
}

__global__ void __launch_bounds__(256) elementwise_kernel(const __grid_constant__ ElementArgs args) {
  const WnElementwiseParams& p = args.p;
  const int64_t step = static_cast<int64_t>(gridDim.x) * 256;
  for (int64_t i = blockIdx.x * 256LL + threadIdx.x; i < p.count; i += step) {
    if (p.x_type == WN_I32) {
      const int32_t by = p.op == WN_ELEMENT_ADD_ROWS ? static_cast<const int32_t*>(p.y)[i / p.row_len] : 0;
      static_cast<int32_t*>(p.out)[i] = static_cast<const int32_t*>(p.x)[i] + by;
    } else if (p.op == WN_ELEMENT_MIX) {
      store_element(p.out, i, p.out_type, mix(p, i));
    } else {
      store_element(p.out, i, p.out_type, apply(p, i, load_element(p.x, i, p.x_type)));
    }
  }
}

}  // namespace
}  // namespace winnow

WnStatus wn_elementwise(const WnElementwiseParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "elementwise: params is null");
  const WnElementwiseParams& p = *params;
  WN_REQUIRE(p.op >= WN_ELEMENT_COPY && p.op <= WN_ELEMENT_MIX, "elementwise: unknown op");
  if (p.count == 0) return ok();
  WN_REQUIRE(p.x && p.out && p.count > 0, "elementwise: null pointer or negative count");
  const bool is_integer = p.x_type == WN_I32;
  WN_REQUIRE(is_integer ? p.out_type == WN_I32 && (p.op == WN_ELEMENT_COPY || p.op == WN_ELEMENT_ADD_ROWS)
                        : is_float_type(p.x_type) && is_float_type(p.out_type) && p.op != WN_ELEMENT_ADD_ROWS,
             "elementwise: types that the op does not have");
  WN_REQUIRE(p.op < WN_ELEMENT_SCALE_ROWS || (p.y && p.row_len > 0), "elementwise: y or row_len");
  WN_REQUIRE(p.op != WN_ELEMENT_MIX || (p.parts > 0 && p.x_type == WN_F32), "elementwise: parts of a mix");
  WN_REQUIRE(p.op != WN_ELEMENT_SOFT_CAP || p.a > 0, "elementwise: a soft cap must be positive");
  elementwise_kernel<<<grid_for(p.count), 256, 0, static_cast<cudaStream_t>(stream)>>>(ElementArgs{p});
  return launch_status("elementwise");
}
