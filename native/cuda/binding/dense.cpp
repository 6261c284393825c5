#include <cstdlib>

#include "backend.h"
#include "winnow_cuda.h"

namespace winnow::gpu {

namespace {

int32_t TypeOf(const Tensor& t) { return t.dtype == DType::kBf16 ? WN_BF16 : t.dtype == DType::kF32 ? WN_F32 : WN_I32; }

napi_value EmbedCall(Call& call) {
  const DeviceWeight& w = WeightOf(call, 0, "weight");
  const Tensor ids = call.TensorOf(1, "ids", DType::kI32, {-1});
  const Tensor out = call.TensorOf(3, "out", DType::kF32, {ids.dim(0), w.cols});
  const WnEmbedParams params{.weight = w.data,
                             .ids = ids.as<int32_t>(),
                             .out = out.as<float>(),
                             .num_tokens = ids.dim(0),
                             .vocab_size = static_cast<int32_t>(w.rows),
                             .width = static_cast<int32_t>(w.cols),
                             .scale = static_cast<float>(call.Number(2, "scale"))};
  IssueOfStep<wn_embed>(call, params);
  return call.Nothing();
}

void Norm(Call& call, const Tensor& out, double gain_offset, bool accumulate) {
  const Tensor x = call.TensorOf(0, "x", DType::kF32, {out.dim(0), out.dim(1)});
  const Tensor gain = call.TensorOf(1, "gain", DType::kF32, {x.dim(1)});
  const WnRmsNormParams params{.x = x.as<float>(),
                               .gain = gain.as<float>(),
                               .out = out.data,
                               .num_rows = x.dim(0),
                               .width = static_cast<int32_t>(x.dim(1)),
                               .out_type = TypeOf(out),
                               .accumulate = accumulate,
                               .epsilon = static_cast<float>(call.Number(2, "eps")),
                               .gain_offset = static_cast<float>(gain_offset)};
  const bool is_row_of_step = call.numbers != nullptr && params.num_rows == 1 && params.out_type == WN_BF16 &&
                              params.width <= WN_LINEAR_NORM_COLS && params.width % 8 == 0;
  if (is_row_of_step) return call.Check(DeviceOf(call).HoldNorm(params));
  IssueOfStep<wn_rms_norm>(call, params);
}

napi_value RmsNormCall(Call& call) {
  const Tensor x = call.TensorOf(0, "x", DType::kF32, {-1, -1});
  Norm(call, call.FloatTensor(4, "out", {x.dim(0), x.dim(1)}), call.Number(3, "gainOffset"), false);
  return call.Nothing();
}

napi_value RmsNormAddCall(Call& call) {
  const Tensor x = call.TensorOf(0, "x", DType::kF32, {-1, -1});
  Norm(call, call.TensorOf(3, "out", DType::kF32, {x.dim(0), x.dim(1)}), 0, true);
  return call.Nothing();
}

napi_value SoftCapCall(Call& call) {
  const Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kF32) call.Refuse("x", "f32", Describe(x));
  const double cap = call.Number(1, "cap");
  if (!(cap > 0)) call.Refuse("cap", "a number above 0", std::to_string(cap));
  const WnElementwiseParams params{.x = x.data,
                                   .out = x.data,
                                   .count = x.size(),
                                   .op = WN_ELEMENT_SOFT_CAP,
                                   .x_type = WN_F32,
                                   .out_type = WN_F32,
                                   .a = static_cast<float>(cap)};
  IssueOfStep<wn_elementwise>(call, params);
  return call.Nothing();
}

/// x as bf16: rounded into memory of the op where it is f32.
const void* ActOf(Call& call, const Tensor& x) {
  if (x.dtype == DType::kBf16 || x.size() == 0) return x.data;
  std::byte* rounded = nullptr;
  call.Check(EngineOf(call).Workspace("linear.x", static_cast<size_t>(x.size()) * 2, &rounded));
  const WnElementwiseParams params{
      .x = x.data, .out = rounded, .count = x.size(), .op = WN_ELEMENT_COPY, .x_type = WN_F32, .out_type = WN_BF16};
  IssueOfStep<wn_elementwise>(call, params);
  return rounded;
}

void Product(Call& call, WnLinearParams params, const DeviceWeight& w, const Tensor& x, const Tensor& out, bool step) {
  params.x = ActOf(call, x);
  params.weight = w.data;
  params.out = out.data;
  params.num_tokens = x.dim(0);
  params.rows = static_cast<int32_t>(w.rows);
  params.cols = static_cast<int32_t>(w.cols);
  params.out_type = TypeOf(out);
  params.path = step ? WN_LINEAR_CHOOSE_STEP : WN_LINEAR_CHOOSE;
  // Every block of 16 or 32 rows norms again, so a head of very many leaves it to the norm's own op.
  if (call.numbers != nullptr && step && w.rows <= (1 << 15)) {
    if (const auto norm = DeviceOf(call).TakeNorm(params.x)) {
      params.norm_x = norm->x;
      params.norm_gain = norm->gain;
      params.norm_epsilon = norm->epsilon;
      params.norm_gain_offset = norm->gain_offset;
    }
  }
  params.workspace_bytes = wn_linear_workspace_bytes(&params);
  if (params.workspace_bytes > 0) {
    std::byte* workspace = nullptr;
    call.Check(EngineOf(call).Workspace("linear", static_cast<size_t>(params.workspace_bytes), &workspace));
    params.workspace = workspace;
  }
  IssueOfStep<wn_linear>(call, params, static_cast<int64_t>(w.bytes));
}

napi_value LinearCall(Call& call) {
  const DeviceWeight& w = WeightOf(call, 1, "weight");
  const Tensor x = call.FloatTensor(0, "x", {-1, w.cols});
  const Tensor bias = call.OptionalTensor(2, "bias", DType::kF32, {w.rows});
  const Tensor out = call.FloatTensor(4, "out", {x.dim(0), w.rows});
  const bool accumulate = call.Flag(3, "accumulate");
  if (accumulate && out.dtype != DType::kF32) call.Refuse("out", "f32 to add to", Describe(out));
  const bool step = call.count > 5 && call.Flag(5, "step");
  Product(call, {.bias = bias.as<float>(), .accumulate = accumulate}, w, x, out, step);
  return call.Nothing();
}

int32_t GateOf(Call& call, int i) { return call.Flag(i, "kind") ? WN_GATE_GELU_TANH : WN_GATE_SILU; }

napi_value LinearGatedCall(Call& call) {
  const DeviceWeight& w = WeightOf(call, 1, "weight");
  const Tensor x = call.FloatTensor(0, "x", {-1, w.cols});
  const Tensor out = call.FloatTensor(3, "out", {x.dim(0), w.rows / 2});
  if (w.weave != WN_GATE_WEAVE) call.Refuse("weight", "gate and up woven by 32 rows", "rows woven by " + std::to_string(w.weave));
  const bool step = call.count > 4 && call.Flag(4, "step");
  Product(call, {.gate = GateOf(call, 2)}, w, x, out, step);
  return call.Nothing();
}

napi_value GatedActivationCall(Call& call) {
  const Tensor gate_up = call.FloatTensor(0, "gateUp", {-1, -1});
  if (gate_up.dim(1) % 4 != 0) call.Refuse("gateUp", "a multiple of 4 columns", Describe(gate_up));
  const Tensor out = call.FloatTensor(2, "out", {gate_up.dim(0), gate_up.dim(1) / 2});
  const WnGatedActivationParams params{.gate_up = gate_up.data,
                                       .out = out.data,
                                       .num_rows = out.dim(0),
                                       .width = static_cast<int32_t>(out.dim(1)),
                                       .in_type = TypeOf(gate_up),
                                       .out_type = TypeOf(out),
                                       .gate = GateOf(call, 1),
                                       .is_woven = 0};
  IssueOfStep<wn_gated_activation>(call, params);
  return call.Nothing();
}

napi_value ArgmaxCall(Call& call) {
  const Tensor logits = call.TensorOf(0, "logits", DType::kF32, {-1, -1});
  const Tensor out = call.TensorOf(1, "out", DType::kI32, {logits.dim(0)});
  EngineOf(call).known.Forget(out);
  if (logits.dim(0) == 0) return call.Nothing();
  const WnArgmaxParams params{.logits = logits.as<float>(),
                              .index = out.as<int32_t>(),
                              .row_stride = logits.dim(1),
                              .num_rows = static_cast<int32_t>(logits.dim(0)),
                              .width = static_cast<int32_t>(logits.dim(1))};
  Issue(call, wn_argmax(&params, StreamOf(call)));
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  // Without cuBLASLt the tile kernel serves, so its absence is no failure.
  (void)wn_linear_load_blas(std::getenv("WINNOW_CUBLASLT"), nullptr);
  Register(env, exports, runtime,
           {{"embed", EmbedCall},
            {"rmsNorm", RmsNormCall},
            {"rmsNormAdd", RmsNormAddCall},
            {"softCap", SoftCapCall},
            {"linear", LinearCall},
            {"linearGated", LinearGatedCall},
            {"gatedActivation", GatedActivationCall},
            {"argmax", ArgmaxCall}});
});

}  // namespace

}  // namespace winnow::gpu
