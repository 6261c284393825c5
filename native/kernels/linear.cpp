#include "linear.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "copy_rows.h"
#include "gemm.h"
#include "numerics.h"
#include "pool.h"

namespace winnow {

namespace {

/// Rows of one work item: enough for the unpacking of a panel (about 30 ns a kilobyte) to vanish, few enough for
/// threads to share a prompt evenly.
constexpr int64_t kRowBlock = 96;

/// Activations in the dtype that the products take, with an even number of values a row for bf16.
struct Activations {
  const void* data;
  int64_t stride;
};

Status ToProductType(const LinearParams& p, bool bf16, Activations* out) {
  int64_t k = p.weight->cols;
  bool has_type = p.x_type == (bf16 ? DType::kBf16 : DType::kF32);
  if (has_type && (!bf16 || k % 2 == 0)) {
    *out = {p.x, k};
    return {};
  }
  int64_t stride = bf16 ? (k + 1) / 2 * 2 : k;
  void* copy = Pool::Scratch(1, static_cast<size_t>(p.num_rows * stride) * (bf16 ? 2 : 4));
  if (copy == nullptr) {
    return Status::Fail(Code::kOutOfMemory, "linear", "memory for a copy of x", "none", "Use a smaller prefill chunk.");
  }
  for (int64_t t = 0; t < p.num_rows; t++) {
    if (bf16) {
      auto* to = static_cast<Bf16*>(copy) + t * stride;
      if (p.x_type == DType::kBf16) {
        std::memcpy(to, static_cast<const Bf16*>(p.x) + t * k, static_cast<size_t>(k) * 2);
      } else {
        auto* from = static_cast<const float*>(p.x) + t * k;
        for (int64_t i = 0; i < k; i++) to[i] = ToBf16(from[i]);
      }
      if (stride > k) to[k] = 0;
    } else {
      auto* from = static_cast<const Bf16*>(p.x) + t * k;
      for (int64_t i = 0; i < k; i++) static_cast<float*>(copy)[t * stride + i] = FromBf16(from[i]);
    }
  }
  *out = {copy, stride};
  return {};
}

Epilogue EpilogueOf(const LinearParams& p, const Panel& panel, int64_t row) {
  size_t offset = static_cast<size_t>(row * p.weight->rows + panel.first_row) * SizeOf(p.out_type);
  return {static_cast<std::byte*>(p.out) + offset,
          p.out_type,
          p.weight->rows,
          panel.width,
          p.bias == nullptr ? nullptr : p.bias + panel.first_row,
          p.accumulate};
}

/// False when memory for the unpacked panel is out.
bool MultiplyPanel(const GemmKernels& kernels, const Panel& panel, const Bf16* a, int64_t stride, int64_t rows, const Epilogue& e) {
  if (rows <= kFewRows && IsBlockType(panel.type) && kernels.few_bf16 != nullptr) {
    kernels.few_bf16(panel, a, stride, rows, e);
    return true;
  }
  int64_t pairs = (panel.k + 1) / 2;
  auto* b = reinterpret_cast<const Bf16*>(panel.data);
  if (panel.type != WeightType::kBf16) {
    auto* unpacked = static_cast<Bf16*>(Pool::Scratch(0, static_cast<size_t>(pairs * panel.groups * kGroup) * 4));
    if (unpacked == nullptr) return false;
    kernels.unpack_bf16(panel, 0, panel.k, unpacked);
    b = unpacked;
  }
  kernels.multiply_bf16(a, stride, rows, b, panel.groups, pairs, e);
  return true;
}

bool MultiplyPanel(const GemmKernels& kernels, const Panel& panel, const float* a, int64_t stride, int64_t rows, const Epilogue& e) {
  if (rows <= kFewRows && IsBlockType(panel.type) && kernels.few_f32 != nullptr) {
    kernels.few_f32(panel, a, stride, rows, e);
    return true;
  }
  auto* b = reinterpret_cast<const float*>(panel.data);
  if (panel.type != WeightType::kF32) {
    auto* unpacked = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(panel.k * panel.groups * kGroup) * 4));
    if (unpacked == nullptr) return false;
    kernels.unpack_f32(panel, 0, panel.k, unpacked);
    b = unpacked;
  }
  kernels.multiply_f32(a, stride, rows, b, panel.groups, panel.k, e);
  return true;
}

}  // namespace

Status Linear(const Context& context, const LinearParams& p) {
  if (p.accumulate && p.out_type != DType::kF32) return Status::Shape("linear.out", "f32 where accumulate is 1", NameOf(p.out_type));
  if (p.num_rows == 0) return {};
  const GemmKernels& kernels = Kernels<GemmKernels>(context.isa);
  bool bf16 = context.has_bf16();
  if (!bf16 && (p.x_type == DType::kBf16 || p.out_type == DType::kBf16)) {
    return Status::Shape("linear.x, linear.out", "f32, the activation dtype of this configuration", "bf16");
  }
  Activations a;
  WINNOW_TRY(ToProductType(p, bf16, &a));

  auto num_panels = static_cast<int64_t>(p.weight->panels.size());
  int64_t blocks = std::max<int64_t>(1, p.num_rows / kRowBlock);
  std::atomic<bool> out_of_memory{false};
  // Panel by panel: a thread that takes the next row block of the same panel finds the panel in its cache.
  Pool::Instance().ParallelFor(num_panels * blocks, [&](int64_t item) {
    const Panel& panel = p.weight->panels[item / blocks];
    int64_t block = item % blocks, begin = p.num_rows * block / blocks, end = p.num_rows * (block + 1) / blocks;
    Epilogue e = EpilogueOf(p, panel, begin);
    bool done = bf16 ? MultiplyPanel(kernels, panel, static_cast<const Bf16*>(a.data) + begin * a.stride, a.stride, end - begin, e)
                     : MultiplyPanel(kernels, panel, static_cast<const float*>(a.data) + begin * a.stride, a.stride, end - begin, e);
    if (!done) out_of_memory = true;
  });
  if (out_of_memory) {
    return Status::Fail(Code::kOutOfMemory, "linear", "memory for one panel of weights", "none", "Use a smaller model.");
  }
  return {};
}

}  // namespace winnow
