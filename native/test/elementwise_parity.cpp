#include <algorithm>

#include "../kernels/argmax.h"
#include "../kernels/copy_rows.h"
#include "../kernels/gated_activation.h"
#include "../kernels/rms_norm.h"
#include "../kernels/rope.h"
#include "../kernels/soft_cap.h"
#include "parity.h"

namespace winnow::parity {
namespace {

std::string Size(int64_t t, int64_t d) { return "T=" + std::to_string(t) + " D=" + std::to_string(d); }

void RmsNormParity(Report& report) {
  for (int width : kSizes) {
    for (int rows : kRows) {
      Guarded<float> x(static_cast<size_t>(rows * width), 1), gain(static_cast<size_t>(width), 3);
      Fill(x, 41, static_cast<uint64_t>(width));
      Fill(gain, 42, 0);
      std::vector<double> expected(x.size());
      RmsNormReference(x.data(), gain.data(), rows, width, 1e-5, 1.0, expected.data());
      std::vector<float> scalar(x.size());
      RmsNormParams params{x.data(), gain.data(), rows, width, 1e-5f, 1.f, scalar.data(), DType::kF32};
      (void)RmsNorm({}, params);
      for (Isa isa : AvailableIsas()) {
        Guarded<float> out(x.size(), 1);
        params.out = out.data();
        params.out_type = DType::kF32;
        Status status = RmsNorm({isa}, params);
        report.Check({"rms_norm", isa, Size(rows, width) + " f32", 41},
                     status.ok() ? RelativeRms(out.data(), expected.data(), out.size()) : INFINITY, 1e-6, out.intact());
        report.Check({"rms_norm", isa, Size(rows, width) + " = scalar", 41}, DifferentBytes(out.data(), scalar.data(), out.size() * 4), 0);
        Guarded<Bf16> half(x.size(), 1);
        params.out = half.data();
        params.out_type = DType::kBf16;
        status = RmsNorm({isa}, params);
        report.Check({"rms_norm", isa, Size(rows, width) + " bf16", 41},
                     status.ok() ? RelativeRms(half.data(), expected.data(), out.size()) : INFINITY, 0x1p-8, half.intact());
        Guarded<float> sum(x.size(), 1);
        std::vector<double> expected_sum(expected);
        for (size_t i = 0; i < sum.size(); i++) expected_sum[i] += sum[i] = Noise(43, 0, i);
        params.out = sum.data();
        params.out_type = DType::kF32;
        params.accumulate = true;
        status = RmsNorm({isa}, params);
        params.accumulate = false;
        report.Check({"rms_norm", isa, Size(rows, width) + " added", 41},
                     status.ok() ? RelativeRms(sum.data(), expected_sum.data(), sum.size()) : INFINITY, 1e-6, sum.intact());
      }
    }
  }
}

void SoftCapParity(Report& report) {
  for (int width : {1, 3, 16, 17, 1000, 9000}) {
    for (float scale : {0.01f, 1.f, 90.f}) {
      Guarded<float> first(static_cast<size_t>(width), 1);
      Fill(first, 91, 0, scale);
      std::vector<double> expected;
      for (size_t i = 0; i < first.size(); i++) expected.push_back(SoftCapReference(first[i], 30));
      std::vector<float> scalar(first.data(), first.data() + first.size());
      (void)SoftCap({}, {scalar.data(), width, 30.f});
      for (Isa isa : AvailableIsas()) {
        Guarded<float> x(first.size(), 1);
        std::memcpy(x.data(), first.data(), x.size() * 4);
        Status status = SoftCap({isa}, {x.data(), width, 30.f});
        std::string name = Size(1, width) + " scale " + std::to_string(scale);
        report.Check({"soft_cap", isa, name, 91}, status.ok() ? RelativeRms(x.data(), expected.data(), x.size()) : INFINITY, 5e-7, x.intact());
        report.Check({"soft_cap", isa, name + " = scalar", 91}, DifferentBytes(x.data(), scalar.data(), x.size() * 4), 0);
      }
    }
  }
  for (Isa isa : AvailableIsas()) {
    float x[4] = {-INFINITY, INFINITY, -1e30f, 0.f};
    Status status = SoftCap({isa}, {x, 4, 30.f});
    double expected[4] = {-30, 30, -30, 0};
    report.Check({"soft_cap", isa, "limits", 0}, status.ok() ? LargestError(x, expected, 4) : INFINITY, 0);
    float none = NAN;
    status = SoftCap({isa}, {&none, 1, 30.f});
    report.Check({"soft_cap", isa, "NaN stays", 0}, status.ok() && std::isnan(none) ? 0 : INFINITY, 0);
  }
}

void GatedActivationParity(Report& report) {
  for (int kind = 0; kind < 2; kind++) {
    for (int width : kSizes) {
      for (int rows : kRows) {
        Guarded<float> x(static_cast<size_t>(2 * rows * width), 1);
        Fill(x, 51, static_cast<uint64_t>(width), 6.f);
        Guarded<Bf16> x_half(x.size(), 1);
        Fill(x_half, 51, static_cast<uint64_t>(width), 6.f);
        auto gate = static_cast<GateKind>(kind);
        std::vector<double> expected, expected_half;
        for (int t = 0; t < rows; t++)
          for (int i = 0; i < width; i++) {
            size_t g = static_cast<size_t>(2 * t * width + i), u = g + static_cast<size_t>(width);
            expected.push_back(GatedActivationReference(x[g], x[u], gate));
            expected_half.push_back(GatedActivationReference(FromBf16(x_half[g]), FromBf16(x_half[u]), gate));
          }
        std::vector<float> scalar(expected.size());
        (void)GatedActivation({}, {x.data(), DType::kF32, gate, rows, width, scalar.data(), DType::kF32});
        std::string name = Size(rows, width) + (kind == 0 ? " silu" : " gelu");
        for (Isa isa : AvailableIsas()) {
          Guarded<float> out(expected.size(), 1);
          Status status = GatedActivation({isa}, {x.data(), DType::kF32, gate, rows, width, out.data(), DType::kF32});
          report.Check({"gated_activation", isa, name + " f32", 51},
                       status.ok() ? RelativeRms(out.data(), expected.data(), out.size()) : INFINITY, 1e-6, out.intact());
          report.Check({"gated_activation", isa, name + " = scalar", 51}, DifferentBytes(out.data(), scalar.data(), out.size() * 4), 0);
          Guarded<Bf16> half(expected.size(), 1);
          status = GatedActivation({isa}, {x_half.data(), DType::kBf16, gate, rows, width, half.data(), DType::kBf16});
          report.Check({"gated_activation", isa, name + " bf16", 51},
                       status.ok() ? RelativeRms(half.data(), expected_half.data(), half.size()) : INFINITY, 0x1p-8, half.intact());
        }
      }
    }
  }
  // Where e^-x overflows or vanishes the limits are exact: 0 and up * gate.
  for (Isa isa : AvailableIsas()) {
    float x[8] = {-200.f, 200.f, -90.f, 0.f, 3.f, 3.f, 3.f, 3.f}, out[4];
    Status status = GatedActivation({isa}, {x, DType::kF32, GateKind::kSilu, 1, 4, out, DType::kF32});
    double expected[4] = {0, 600, 0, 0};
    report.Check({"gated_activation", isa, "limits", 0}, status.ok() ? LargestError(out, expected, 4) : INFINITY, 1e-30);
  }
}

struct RopeShape {
  int32_t query_heads, kv_heads, head_dim, rope_dims;
};

void RopeParity(Report& report) {
  for (RopeShape s : {RopeShape{1, 1, 2, 2}, RopeShape{9, 3, 64, 64}, RopeShape{4, 1, 80, 32}, RopeShape{7, 1, 34, 34}, RopeShape{2, 2, 256, 256}}) {
    for (int rows : kRows) {
      for (int variant = 0; variant < 4; variant++) {
        bool norm = variant & 1, rotate_keys = (variant & 2) == 0;
        auto heads = static_cast<size_t>(s.query_heads + 2 * s.kv_heads), d = static_cast<size_t>(s.head_dim), t = static_cast<size_t>(rows);
        Guarded<float> x(t * heads * d, 1), gain(d), angles(64 * static_cast<size_t>(s.rope_dims));
        Fill(x, 61, static_cast<uint64_t>(variant));
        Fill(gain, 62, 0);
        int32_t half = s.rope_dims / 2;
        for (int p = 0; p < 64; p++)
          for (int i = 0; i < half; i++) {
            double a = p * std::pow(10000.0, -2.0 * i / s.rope_dims);
            angles[static_cast<size_t>(p * s.rope_dims + i)] = static_cast<float>(std::cos(a));
            angles[static_cast<size_t>(p * s.rope_dims + half + i)] = static_cast<float>(std::sin(a));
          }
        std::vector<int32_t> positions;
        for (int i = 0; i < rows; i++) positions.push_back((i * 17 + 5) % 64);
        std::vector<double> q, k, v;
        for (size_t r = 0; r < t; r++)
          for (size_t h = 0; h < heads; h++) {
            bool is_query = h < static_cast<size_t>(s.query_heads), is_key = !is_query && h < static_cast<size_t>(s.query_heads + s.kv_heads);
            std::vector<double> in, out(d);
            for (size_t i = 0; i < d; i++) in.push_back(x[(r * heads + h) * d + i]);
            const float* at = &angles[static_cast<size_t>(positions[r] * s.rope_dims)];
            RopeReference(in.data(), norm && (is_query || is_key) ? gain.data() : nullptr, 1e-6, is_query || (is_key && rotate_keys) ? at : nullptr,
                          s.rope_dims, s.head_dim, out.data());
            auto& to = is_query ? q : is_key ? k : v;
            to.insert(to.end(), out.begin(), out.end());
          }
        std::vector<float> first;
        for (auto isa = AvailableIsas().rbegin(); isa != AvailableIsas().rend(); ++isa) {
          Guarded<float> q_out(q.size(), 1), k_out(k.size(), 1), v_out(v.size(), 1);
          RopeParams params{};
          params = {.qkv = x.data(), .qkv_type = DType::kF32, .positions = positions.data(), .cos_sin = angles.data(), .num_tokens = rows,
                    .num_query_heads = s.query_heads, .num_kv_heads = s.kv_heads, .head_dim = s.head_dim, .rope_dims = s.rope_dims,
                    .max_positions = 64, .rotate_keys = rotate_keys, .q_norm = norm ? gain.data() : nullptr, .k_norm = norm ? gain.data() : nullptr,
                    .eps = 1e-6f, .q_out = q_out.data(), .k_out = k_out.data(), .k_type = DType::kF32, .v_out = v_out.data(), .v_type = DType::kF32};
          Status status = Rope({*isa, Numerics::kReference}, params);
          double error = std::max({RelativeRms(q_out.data(), q.data(), q.size()), RelativeRms(k_out.data(), k.data(), k.size()),
                                   RelativeRms(v_out.data(), v.data(), v.size())});
          std::string name = Size(rows, s.head_dim) + " Hq=" + std::to_string(s.query_heads) + " rope=" + std::to_string(s.rope_dims) +
                             (norm ? " norm" : "") + (rotate_keys ? "" : " raw keys");
          report.Check({"rope", *isa, name, 61}, status.ok() ? error : INFINITY, 1e-6, q_out.intact() && k_out.intact() && v_out.intact());
          if (first.empty()) first.assign(q_out.data(), q_out.data() + q_out.size());
          report.Check({"rope", *isa, name + " = scalar", 61}, DifferentBytes(first.data(), q_out.data(), q_out.size() * 4), 0);
          Context native{*isa, Numerics::kNative};
          if (!native.has_bf16()) continue;
          Guarded<Bf16> q_half(q.size(), 1);
          params.q_out = q_half.data();
          params.k_out = params.v_out = nullptr;
          status = Rope(native, params);
          report.Check({"rope", *isa, name + " bf16", 61}, status.ok() ? RelativeRms(q_half.data(), q.data(), q.size()) : INFINITY, 0x1p-8, q_half.intact());
        }
      }
    }
  }
}

void ArgmaxParity(Report& report) {
  for (Isa isa : AvailableIsas()) {
    for (int width : kSizes) {
      for (int variant = 0; variant < 5; variant++) {
        Guarded<float> x(static_cast<size_t>(width), 1);
        Fill(x, 71, static_cast<uint64_t>(variant));
        if (variant == 1) for (size_t i = 0; i < x.size(); i++) x[i] = std::floor(x[i] * 3);  // many ties
        if (variant == 2) for (size_t i = 0; i < x.size(); i += 2) x[i] = NAN;
        if (variant == 3) for (size_t i = 0; i < x.size(); i++) x[i] = -INFINITY;
        if (variant == 4) for (size_t i = 0; i < x.size(); i++) x[i] = NAN;
        int32_t out = -7;
        Status status = Argmax({isa}, {x.data(), 1, width, &out});
        report.Check({"argmax", isa, Size(1, width) + " variant " + std::to_string(variant), 71},
                     status.ok() ? std::abs(out - ArgmaxReference(x.data(), width)) : INFINITY, 0, x.intact());
      }
    }
  }
}

void CopyParity(Report& report) {
  for (int width : kSizes) {
    Guarded<float> x(static_cast<size_t>(width), 1), back(x.size(), 2);
    Guarded<Bf16> half(x.size(), 3);
    Fill(x, 81, 0);
    Status to = CopyValues({}, {x.data(), DType::kF32, half.data(), DType::kBf16, width});
    Status from = CopyValues({}, {half.data(), DType::kBf16, back.data(), DType::kF32, width});
    double worst = to.ok() && from.ok() ? 0 : INFINITY;
    for (size_t i = 0; i < x.size(); i++) worst = std::max(worst, std::fabs(static_cast<double>(back[i]) - x[i]) / std::fabs(x[i]));
    report.Check({"copy_rows", Isa::kScalar, Size(1, width), 81}, worst, 1.0 / 256, half.intact() && back.intact());
  }
}

WINNOW_PARITY(rms_norm, RmsNormParity);
WINNOW_PARITY(soft_cap, SoftCapParity);
WINNOW_PARITY(gated_activation, GatedActivationParity);
WINNOW_PARITY(rope, RopeParity);
WINNOW_PARITY(argmax, ArgmaxParity);
WINNOW_PARITY(copy_rows, CopyParity);

}  // namespace
}  // namespace winnow::parity
