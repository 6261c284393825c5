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

int64_t RoundUp(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

/// The kernels of a context.
struct Products {
  explicit Products(const Context& context)
      : gemm(Kernels<GemmKernels>(context.isa)),
        few(Kernels<FewRowKernels>(context.isa)),
        step(Kernels<StepKernels>(context.isa)),
        tiles(context.emulated_tiles          ? Kernels<EmulatedTileKernels>(context.isa).multiply
              : context.isa == Isa::kAmx ? AmxMultiply()
                                         : nullptr),
        bf16(context.has_bf16()) {
    if (!bf16) tiles = nullptr;
  }
  /// Values along k of one row of activations, padding included.
  int64_t DepthOf(int64_t k) const { return tiles != nullptr ? RoundUp(k, 2 * kTilePairs) : bf16 ? RoundUp(k, 2) : k; }

  const GemmKernels& gemm;
  const FewRowKernels& few;
  const StepKernels& step;
  TileMultiply tiles;
  bool bf16;
};

/// Activations in the dtype that the products take, padded along k where they need it.
struct Activations {
  const void* data;
  int64_t stride;
  const float* sums;  ///< of each row and block of k, for a step; else null
};

Status ToProductType(const LinearInput& p, const Products& products, Activations* out) {
  bool bf16 = products.bf16;
  int64_t k = p.weight->cols, stride = products.DepthOf(k);
  bool has_type = p.x_type == (bf16 ? DType::kBf16 : DType::kF32);
  if (has_type && stride == k) {
    *out = {p.x, k, nullptr};
    return {};
  }
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
      for (int64_t i = k; i < stride; i++) to[i] = 0;
    } else {
      auto* from = static_cast<const Bf16*>(p.x) + t * k;
      for (int64_t i = 0; i < k; i++) static_cast<float*>(copy)[t * stride + i] = FromBf16(from[i]);
    }
  }
  *out = {copy, stride, nullptr};
  return {};
}

Status AddBlockSums(const LinearInput& p, const Products& products, Activations* a) {
  int64_t blocks = p.weight->cols / kBlock;
  auto* sums = static_cast<float*>(Pool::Scratch(3, static_cast<size_t>(std::max<int64_t>(1, p.num_rows * blocks)) * 4));
  if (sums == nullptr) return Status::Fail(Code::kOutOfMemory, "linear", "memory for sums of x", "none", "Use fewer rows.");
  Pool::Instance().ParallelRanges(p.num_rows, 1 + 16384 / p.weight->cols, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      products.step.block_sums(static_cast<const Bf16*>(a->data) + t * a->stride, blocks, sums + t * blocks);
    }
  });
  a->sums = sums;
  return {};
}

/// The panel as bf16 pairs, padded with zero pairs to `pairs`; null when memory is out.
const Bf16* UnpackedBf16(const Products& products, const Panel& panel, int64_t pairs) {
  int64_t own = (panel.k + 1) / 2, width = panel.groups * kGroup;
  if (panel.type == WeightType::kBf16 && own == pairs) return reinterpret_cast<const Bf16*>(panel.data);
  auto* unpacked = static_cast<Bf16*>(Pool::Scratch(0, static_cast<size_t>(pairs * width) * 4));
  if (unpacked == nullptr) return nullptr;
  products.gemm.unpack_bf16(panel, 0, panel.k, unpacked);
  std::memset(unpacked + own * width * 2, 0, static_cast<size_t>((pairs - own) * width) * 4);
  return unpacked;
}

/// False when memory for the unpacked panel is out.
bool MultiplyPanel(const Products& products, const Panel& panel, const Bf16* a, int64_t stride, int64_t rows, const Epilogue& e) {
  if (products.tiles == nullptr && rows <= kFewRows && IsBlockType(panel.type)) {
    products.few.bf16(panel, a, stride, rows, e);
    return true;
  }
  int64_t pairs = products.DepthOf(panel.k) / 2;
  const Bf16* b = UnpackedBf16(products, panel, pairs);
  if (b == nullptr) return false;
  (products.tiles != nullptr ? products.tiles : products.gemm.multiply_bf16)(a, stride, rows, b, panel.groups, pairs, e);
  return true;
}

bool MultiplyPanel(const Products& products, const Panel& panel, const float* a, int64_t stride, int64_t rows, const Epilogue& e) {
  if (rows <= kFewRows && IsBlockType(panel.type)) {
    products.few.f32(panel, a, stride, rows, e);
    return true;
  }
  auto* b = reinterpret_cast<const float*>(panel.data);
  if (panel.type != WeightType::kF32) {
    auto* unpacked = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(panel.k * panel.groups * kGroup) * 4));
    if (unpacked == nullptr) return false;
    products.gemm.unpack_f32(panel, 0, panel.k, unpacked);
    b = unpacked;
  }
  products.gemm.multiply_f32(a, stride, rows, b, panel.groups, panel.k, e);
  return true;
}

/// Calls tile(panel, first row, rows, multiply) for every panel and block of rows; `multiply(epilogue)` computes the tile
/// and is false when memory is out. Panel by panel: a thread that takes the next block finds the panel in its cache.
template <class Tile>
Status ForEachTile(const Context& context, const LinearInput& in, Tile tile) {
  Products products(context);
  Activations a;
  WINNOW_TRY(ToProductType(in, products, &a));
  bool is_step = in.step && products.bf16 && in.weight->cols % kBlock == 0;
  if (is_step) WINNOW_TRY(AddBlockSums(in, products, &a));
  const std::vector<Panel>& panels = in.weight->panels;
  int64_t blocks = std::max<int64_t>(1, in.num_rows / kRowBlock);
  std::atomic<bool> out_of_memory{false};
  auto run = [&](int64_t item) {
    const Panel& panel = panels[static_cast<size_t>(item / blocks)];
    int64_t begin = in.num_rows * (item % blocks) / blocks, end = in.num_rows * (item % blocks + 1) / blocks;
    auto multiply = [&](const Epilogue& e) {
      if (is_step && StepKernels::Take(panel.type)) {
        products.step.multiply(panel, static_cast<const Bf16*>(a.data) + begin * a.stride, a.stride,
                               a.sums + begin * (panel.k / kBlock), end - begin, e);
        return true;
      }
      if (products.bf16) return MultiplyPanel(products, panel, static_cast<const Bf16*>(a.data) + begin * a.stride, a.stride, end - begin, e);
      return MultiplyPanel(products, panel, static_cast<const float*>(a.data) + begin * a.stride, a.stride, end - begin, e);
    };
    if (!tile(panel, begin, end - begin, multiply)) out_of_memory = true;
  };
  int64_t items = static_cast<int64_t>(panels.size()) * blocks;
  // Few rows wait for weights: a thread that takes neighbouring panels has asked for the next one before it comes to it.
  Pool::Instance().ParallelRanges(items, 1, [&](int64_t first, int64_t last) {
    for (int64_t item = first; item < last; item++) run(item);
  }, in.num_rows > kFewRows ? INT32_MAX : items < 64 ? 2 : 8);
  if (out_of_memory) {
    return Status::Fail(Code::kOutOfMemory, "linear", "memory for one panel of weights", "none", "Use a smaller model.");
  }
  return {};
}

Status CheckTypes(const Context& context, const char* where, DType x, DType out) {
  auto fits = [&](DType t) { return t == DType::kF32 || (t == DType::kBf16 && context.has_bf16()); };
  if (!fits(x) || !fits(out)) {
    return Status::Shape(where, context.has_bf16() ? "x and out in f32 or bf16" : "x and out in f32, the activation dtype of this configuration",
                         std::string(NameOf(x)) + " and " + NameOf(out));
  }
  return {};
}

}  // namespace

Status Linear(const Context& context, const LinearParams& p) {
  WINNOW_TRY(CheckTypes(context, "linear", p.in.x_type, p.out_type));
  if (p.accumulate && p.out_type != DType::kF32) return Status::Shape("linear.out", "f32 where accumulate is 1", NameOf(p.out_type));
  int64_t stride = p.in.weight->rows;
  return ForEachTile(context, p.in, [&](const Panel& panel, int64_t row, int64_t, auto multiply) {
    size_t offset = static_cast<size_t>(row * stride + panel.first_row) * SizeOf(p.out_type);
    const float* bias = p.bias == nullptr ? nullptr : p.bias + panel.first_row;
    return multiply(Epilogue{static_cast<std::byte*>(p.out) + offset, p.out_type, stride, panel.width, bias, p.accumulate});
  });
}

Status LinearGated(const Context& context, const LinearGatedParams& p) {
  WINNOW_TRY(CheckTypes(context, "linearGated", p.in.x_type, p.out_type));
  constexpr int64_t kHalf = kPanelWidth / 2;
  if (p.in.weight->weave != kHalf) {
    return Status::Shape("linearGated.weight", "a matrix packed with interleave 32", "interleave " + std::to_string(p.in.weight->weave));
  }
  int64_t width = p.in.weight->rows / 2;
  const GatedActivationKernels& gate = Kernels<GatedActivationKernels>(context.isa);
  return ForEachTile(context, p.in, [&](const Panel& panel, int64_t row, int64_t rows, auto multiply) {
    auto* sums = static_cast<float*>(Pool::Scratch(2, static_cast<size_t>(rows * kPanelWidth) * 4));
    if (sums == nullptr || !multiply(Epilogue{sums, DType::kF32, kPanelWidth, panel.width, nullptr, false})) return false;
    auto* out = static_cast<std::byte*>(p.out) + static_cast<size_t>(row * width + panel.first_row / 2) * SizeOf(p.out_type);
    for (int64_t t = 0; t < rows; t++) {
      gate.row(sums + t * kPanelWidth, sums + t * kPanelWidth + kHalf, false, p.kind, kHalf,
               out + static_cast<size_t>(t * width) * SizeOf(p.out_type), p.out_type == DType::kBf16);
    }
    return true;
  });
}

}  // namespace winnow
