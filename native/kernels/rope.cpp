#include "rope.h"

#include "pool.h"

namespace winnow {

namespace {

Status CheckRope(const RopeParams& p) {
  if (p.num_query_heads < 1 || p.num_kv_heads < 0 || p.head_dim < 1 || p.head_dim > 1024) {
    return Status::Shape("ropeAppend.qkv", "at least one head of 1 to 1024 channels", std::to_string(p.head_dim) + " channels");
  }
  if (p.rope_dims % 2 != 0 || p.rope_dims < 0 || p.rope_dims > p.head_dim) {
    return Status::Shape("ropeAppend.cosSin", "an even number of rotary channels up to " + std::to_string(p.head_dim),
                         std::to_string(p.rope_dims));
  }
  for (int64_t t = 0; t < p.num_tokens; t++) {
    if (p.positions[t] < 0 || p.positions[t] >= p.max_positions) {
      return Status::Shape("ropeAppend.positions", "positions in [0, " + std::to_string(p.max_positions) + ")",
                           std::to_string(p.positions[t]) + " at " + std::to_string(t));
    }
  }
  return {};
}

}  // namespace

Status Rope(const Context& context, const RopeParams& p) {
  WINNOW_TRY(CheckRope(p));
  const RopeKernels& kernels = Kernels<RopeKernels>(context.isa);
  DType q_type = context.act();
  auto d = static_cast<size_t>(p.head_dim);
  auto num_heads = static_cast<size_t>(p.num_query_heads + 2 * p.num_kv_heads);
  size_t q_heads = static_cast<size_t>(p.num_query_heads), kv_heads = static_cast<size_t>(p.num_kv_heads);
  Pool::Instance().ParallelRanges(p.num_tokens, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      auto row = static_cast<size_t>(t);
      auto* x = static_cast<const std::byte*>(p.qkv) + row * num_heads * d * SizeOf(p.qkv_type);
      const float* angles = p.cos_sin + static_cast<size_t>(p.positions[t]) * static_cast<size_t>(p.rope_dims);
      bool bf16_in = p.qkv_type == DType::kBf16;
      auto put = [&](size_t head, const float* gain, const float* cos_sin, void* out, DType type, size_t slot) {
        if (out == nullptr) return;
        kernels.head(x + head * d * SizeOf(p.qkv_type), bf16_in, gain, p.eps, cos_sin, p.rope_dims, p.head_dim,
                     static_cast<std::byte*>(out) + slot * d * SizeOf(type), type == DType::kBf16);
      };
      for (size_t h = 0; h < q_heads; h++) put(h, p.q_norm, angles, p.q_out, q_type, row * q_heads + h);
      for (size_t h = 0; h < kv_heads; h++) {
        put(q_heads + h, p.k_norm, p.rotate_keys ? angles : nullptr, p.k_out, p.k_type, row * kv_heads + h);
        put(q_heads + kv_heads + h, nullptr, nullptr, p.v_out, p.v_type, row * kv_heads + h);
      }
    }
  });
  return {};
}

}  // namespace winnow
