/// Elements of a tensor whose type is a parameter, as f32.
#ifndef WINNOW_CUDA_ELEMENT_CUH
#define WINNOW_CUDA_ELEMENT_CUH

#include "device.cuh"

namespace winnow {

WN_DEVICE float load_element(const void* data, int64_t i, int type) {
  return type == WN_F32 ? static_cast<const float*>(data)[i]
                        : __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
}
WN_DEVICE void store_element(void* data, int64_t i, int type, float x) {
  if (type == WN_F32)
    static_cast<float*>(data)[i] = x;
  else
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16(x);
}
inline bool is_float_type(int type) { return type == WN_F32 || type == WN_BF16; }

/// act(gate) * up. The tanh form of GELU is x * sigmoid(2 y), y the argument of tanh.
WN_DEVICE float gated(float gate, float up, bool is_gelu) {
  const float y = is_gelu ? 1.5957691216057308f * (gate + 0.044715f * gate * gate * gate) : gate;
  return gate / (1.0f + __expf(-y)) * up;
}

/// Blocks of 256 threads for so many elements; the kernels stride over what is beyond.
inline unsigned grid_for(int64_t count, int64_t per_block = 256) {
  const int64_t blocks = ceil_div(count, per_block);
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > 65535 * 16 ? 65535 * 16 : blocks);
}

}  // namespace winnow

#endif
