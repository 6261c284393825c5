#include "../kernels/linear.h"

#include "matrix_case.h"

namespace winnow::parity {
namespace {

WeightArena arena;  // of all cases

struct Shape {
  int64_t rows, cols;
};
constexpr Shape kPlainShapes[] = {{1, 1}, {3, 15}, {17, 16}, {64, 17}, {65, 3}, {100, 255}, {48, 256}, {15, 1000}};
constexpr Shape kBlockShapes[] = {{1, 32}, {17, 64}, {48, 96}, {64, 576}, {65, 32}, {200, 256}};
constexpr Shape kSuperShapes[] = {{1, 256}, {17, 512}, {48, 256}, {65, 768}, {200, 256}};

std::vector<Shape> ShapesOf(WeightType type) {
  if (IsSuperBlockType(type)) return {std::begin(kSuperShapes), std::end(kSuperShapes)};
  if (IsBlockType(type)) return {std::begin(kBlockShapes), std::end(kBlockShapes)};
  return {std::begin(kPlainShapes), std::end(kPlainShapes)};
}
/// `cols` or, for super-blocks, the next multiple of 256.
int64_t ColsFor(WeightType type, int64_t cols) { return IsSuperBlockType(type) ? (cols + 255) / 256 * 256 : cols; }

std::string Name(WeightType type, Shape s, int64_t t, const char* rest) {
  return std::string(NameOf(type)) + " T=" + std::to_string(t) + " N=" + std::to_string(s.rows) + " K=" + std::to_string(s.cols) + rest;
}

std::vector<Context> Contexts() {
  std::vector<Context> contexts;
  for (Isa isa : AvailableIsas()) {
    contexts.push_back({isa, Numerics::kNative});
    contexts.push_back({isa, Numerics::kReference});
    if (isa == Isa::kAvx512Bf16) contexts.push_back({isa, Numerics::kNative, true});
  }
  return contexts;
}
const char* NameOf(const Context& c) {
  return c.emulated_tiles ? " emulated tiles" : c.numerics == Numerics::kNative ? " native" : " reference";
}
/// Whether rows may be those of a step; with f32 activations that changes nothing.
std::vector<bool> StepsOf(const Context& c) { return c.has_bf16() ? std::vector<bool>{false, true} : std::vector<bool>{false}; }
const char* NameOfStep(bool step) { return step ? " step" : ""; }
/// Software arithmetic: a thousand rows of it add nothing.
bool IsSlow(const Context& c) { return c.isa == Isa::kScalar || c.emulated_tiles; }

/// Activations of a context's dtype, and the same as fp64.
struct Input {
  Input(const Context& context, int64_t rows, int64_t cols, uint64_t seed)
      : floats(static_cast<size_t>(rows * cols)), halves(static_cast<size_t>(rows * cols)), bf16(context.has_bf16()) {
    Fill(floats, seed, 1);
    Fill(halves, seed, 1);
    for (size_t i = 0; i < floats.size(); i++) exact.push_back(bf16 ? FromBf16(halves[i]) : floats[i]);
  }
  const void* data() const { return bf16 ? static_cast<const void*>(halves.data()) : floats.data(); }
  DType type() const { return bf16 ? DType::kBf16 : DType::kF32; }
  Guarded<float> floats;
  Guarded<Bf16> halves;
  std::vector<double> exact;
  bool bf16;
};

/// max |out - expected| / (|expected| + sum |w x|).
double WorstError(const Guarded<float>& out, const std::vector<double>& expected, std::vector<double> x, std::vector<double> w, Shape shape) {
  for (double& v : x) v = std::fabs(v);
  for (double& v : w) v = std::fabs(v);
  std::vector<double> magnitude(expected.size(), 0.0);
  auto rows = static_cast<int64_t>(expected.size()) / shape.rows;
  LinearReference(x.data(), rows, w.data(), shape.rows, shape.cols, nullptr, magnitude.data());
  double worst = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    double error = std::fabs(out[i] - expected[i]) / (std::fabs(expected[i]) + magnitude[i]);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

void AgainstReference(Report& report, const Context& context, WeightType type, Shape shape, int64_t rows, bool step, bool bias, bool accumulate) {
  uint64_t seed = static_cast<uint64_t>(shape.rows * 1000 + shape.cols);
  MatrixCase matrix(type, shape.rows, shape.cols, seed);
  PackedMatrix packed;
  if (!PackMatrix({matrix.source}, 0, arena, &packed).ok()) return;
  Input x(context, rows, shape.cols, seed);
  Guarded<float> b(static_cast<size_t>(shape.rows)), out(static_cast<size_t>(rows * shape.rows));
  Fill(b, seed, 2);
  if (accumulate) Fill(out, seed, 3);
  std::vector<double> expected(out.size(), 0.0);
  if (accumulate) expected.assign(out.data(), out.data() + out.size());
  LinearReference(x.exact.data(), rows, matrix.Values().data(), shape.rows, shape.cols, bias ? b.data() : nullptr, expected.data());
  Status status = Linear(context, {{x.data(), x.type(), rows, &packed, step}, bias ? b.data() : nullptr, accumulate, out.data(), DType::kF32});
  // Relative to sum |w x|, the only scale that cancellation leaves alone. bf16: unit roundoff 2^-8 of each weight, but none
  // in a step, where only the sums round (of codes up to 255, hence more than in f32).
  double bound = !context.has_bf16() ? 2e-6 : step && IsBlockType(type) ? 1e-5 : 0x1p-8;
  report.Check({"linear", context.isa, Name(type, shape, rows, NameOf(context)) + NameOfStep(step) + (bias ? " bias" : "") + (accumulate ? " accumulate" : ""), seed},
               status.ok() ? WorstError(out, expected, x.exact, matrix.Values(), shape) : INFINITY, bound, out.intact());
  if (!context.has_bf16() || accumulate) return;
  Guarded<Bf16> narrow(out.size());
  status = Linear(context, {{x.data(), x.type(), rows, &packed, step}, bias ? b.data() : nullptr, false, narrow.data(), DType::kBf16});
  double different = status.ok() ? 0 : INFINITY;
  for (size_t i = 0; i < out.size(); i++) {
    Bf16 rounded = ToBf16(out[i]);
    different += DifferentBytes(&narrow[i], &rounded, 2);
  }
  report.Check({"linear", context.isa, Name(type, shape, rows, " bf16 out = rounded f32 out") + NameOfStep(step), seed}, different, 0, narrow.intact());
}

void LinearParity(Report& report) {
  for (const Context& context : Contexts()) {
    for (WeightType type : kWeightTypes) {
      for (Shape shape : ShapesOf(type)) {
        for (int64_t rows : kRows)
          for (bool step : StepsOf(context)) AgainstReference(report, context, type, shape, rows, step, rows == 2, rows == 7);
      }
    }
  }
}

/// A row's bits depend neither on the other rows nor on the threads.
void RowParity(Report& report, const Context& context, bool is_step) {
  constexpr int64_t kMost = 1000;
  for (WeightType type : kWeightTypes) {
    const Shape shape{100, ColsFor(type, 288)};
    MatrixCase matrix(type, shape.rows, shape.cols, 21);
    PackedMatrix packed;
    if (!PackMatrix({matrix.source}, 0, arena, &packed).ok()) continue;
    int64_t most = IsSlow(context) ? 64 : kMost;
    Input x(context, most, shape.cols, 21);
    std::vector<float> alone(static_cast<size_t>(most * shape.rows)), together(alone.size());
    size_t step = static_cast<size_t>(shape.cols) * SizeOf(x.type());
    Pool::Instance().SetThreads(1);
    for (int64_t t = 0; t < most; t++) {
      (void)Linear(context, {{static_cast<const std::byte*>(x.data()) + static_cast<size_t>(t) * step, x.type(), 1, &packed, is_step},
                             nullptr, false, &alone[static_cast<size_t>(t * shape.rows)], DType::kF32});
    }
    for (int used : {1, 2, 3}) {
      Pool::Instance().SetThreads(used);
      for (int64_t rows : {2, 3, 5, 7, 8, 9, 16, 64, 1000}) {
        if (rows > most) continue;
        together.assign(together.size(), -1.f);
        Status status = Linear(context, {{x.data(), x.type(), rows, &packed, is_step}, nullptr, false, together.data(), DType::kF32});
        report.Check({"linear_rows", context.isa, Name(type, shape, rows, NameOf(context)) + NameOfStep(is_step) + " threads=" + std::to_string(used), 21},
                     status.ok() ? DifferentBytes(alone.data(), together.data(), static_cast<size_t>(rows * shape.rows) * 4) : INFINITY, 0);
      }
    }
  }
}

void RowParity(Report& report) {
  int threads = Pool::Instance().threads();
  for (const Context& context : Contexts())
    for (bool step : StepsOf(context)) RowParity(report, context, step);
  Pool::Instance().SetThreads(threads);
}

/// f32 products give the same bits on every instruction set.
void IsaParity(Report& report) {
  for (WeightType type : kWeightTypes) {
    for (Shape shape : {Shape{70, ColsFor(type, 96)}, Shape{33, ColsFor(type, 576)}}) {
      MatrixCase matrix(type, shape.rows, shape.cols, 31);
      PackedMatrix packed;
      if (!PackMatrix({matrix.source}, 0, arena, &packed).ok()) continue;
      for (int64_t rows : {1, 5, 40}) {
        Context scalar{Isa::kScalar, Numerics::kReference};
        Input x(scalar, rows, shape.cols, 31);
        std::vector<float> expected(static_cast<size_t>(rows * shape.rows)), out(expected.size());
        (void)Linear(scalar, {{x.data(), x.type(), rows, &packed}, nullptr, false, expected.data(), DType::kF32});
        for (Isa isa : AvailableIsas()) {
          Status status = Linear({isa, Numerics::kReference}, {{x.data(), x.type(), rows, &packed}, nullptr, false, out.data(), DType::kF32});
          report.Check({"linear_isa", isa, Name(type, shape, rows, " = scalar"), 31},
                       status.ok() ? DifferentBytes(expected.data(), out.data(), out.size() * 4) : INFINITY, 0);
        }
      }
    }
  }
}

/// The fused form gives the bits of the two ops one after the other.
void GatedParity(Report& report) {
  for (const Context& context : Contexts()) {
    for (WeightType type : kWeightTypes) {
      for (int64_t rows : {1, 2, 7, 37, 200}) {
        if (IsSlow(context) && rows > 37) continue;
        bool step = context.has_bf16() && rows < 37;
        constexpr int64_t kUnits = 96;
        const int64_t kCols = ColsFor(type, 160);
        MatrixCase gate(type, kUnits, kCols, 41), up(type, kUnits, kCols, 42);
        PackedMatrix woven, stacked;
        if (!PackMatrix({gate.source, up.source}, 32, arena, &woven).ok() || !PackMatrix({gate.source, up.source}, 0, arena, &stacked).ok()) continue;
        Input x(context, rows, kCols, 43);
        std::vector<float> wide(static_cast<size_t>(rows * 2 * kUnits));
        Status apart = Linear(context, {{x.data(), x.type(), rows, &stacked, step}, nullptr, false, wide.data(), DType::kF32});
        for (GateKind kind : {GateKind::kSilu, GateKind::kGeluTanh}) {
          Guarded<float> expected(static_cast<size_t>(rows * kUnits)), out(expected.size());
          Status then = GatedActivation(context, {wide.data(), DType::kF32, kind, rows, kUnits, expected.data(), DType::kF32});
          Status fused = LinearGated(context, {{x.data(), x.type(), rows, &woven, step}, kind, out.data(), DType::kF32});
          bool ok = apart.ok() && then.ok() && fused.ok();
          report.Check({"linear_gated", context.isa, Name(type, {2 * kUnits, kCols}, rows, NameOf(context)) + (kind == GateKind::kSilu ? " silu" : " gelu"), 43},
                       ok ? DifferentBytes(out.data(), expected.data(), out.size() * 4) : INFINITY, 0, out.intact());
        }
      }
    }
  }
}

WINNOW_PARITY(linear_gated, GatedParity);
WINNOW_PARITY(linear, LinearParity);
WINNOW_PARITY(linear_rows, RowParity);
WINNOW_PARITY(linear_isa, IsaParity);

}  // namespace
}  // namespace winnow::parity
