#include "../kernels/argmax.h"
#include "../kernels/embed.h"
#include "../kernels/gated_activation.h"
#include "../kernels/linear.h"
#include "../kernels/rms_norm.h"
#include "../kernels/soft_cap.h"
#include "../kernels/weights.h"
#include "weight_sources.h"

namespace winnow {

namespace {

const PackedMatrix& WeightOf(Call& call, int i, const char* what) {
  const PackedMatrix* found = nullptr;
  if (Status s = call.runtime.weights->Get(call.Id(i, what), what, &found); !s.ok()) {
    call.Refuse(what, s.failure()->expected, s.failure()->actual);
  }
  return *found;
}

napi_value PackWeight(Call& call) {
  const std::vector<WeightSource> sources = ReadSources(call, 0);
  PackedMatrix packed;
  call.Check(PackMatrix(sources, call.Int(1, "interleave", 0, INT32_MAX), call.runtime.weights->arena(), &packed));
  return call.Value(call.runtime.weights->Add(std::move(packed)));
}

napi_value PackVector(Call& call) {
  const WeightSource source = ReadVectorSource(call);
  Tensor out;
  TensorId id = call.NewTensor(DType::kF32, {source.cols}, &out);
  Status status = UnpackVector(source, out.as<float>());
  if (!status.ok()) (void)call.runtime.tensors.Free(id);
  call.Check(std::move(status));
  return call.Value(id);
}

napi_value FreeWeight(Call& call) {
  call.Check(call.runtime.weights->Free(call.Id(0, "w")));
  return call.Nothing();
}

napi_value WeightShape(Call& call) {
  const PackedMatrix& w = WeightOf(call, 0, "w");
  napi_value shape;
  napi_create_array_with_length(call.env, 2, &shape);
  napi_set_element(call.env, shape, 0, call.Value(static_cast<double>(w.rows)));
  napi_set_element(call.env, shape, 1, call.Value(static_cast<double>(w.cols)));
  return shape;
}

napi_value EmbedCall(Call& call) {
  const PackedMatrix& w = WeightOf(call, 0, "weight");
  Tensor ids = call.TensorOf(1, "ids", DType::kI32, {-1});
  Tensor out = call.TensorOf(3, "out", DType::kF32, {ids.dim(0), w.cols});
  call.Check(Embed(call.runtime.context, {.weight = &w,
                                          .ids = ids.as<int32_t>(),
                                          .num_tokens = ids.dim(0),
                                          .scale = static_cast<float>(call.Number(2, "scale")),
                                          .out = out.as<float>()}));
  return call.Nothing();
}

napi_value RmsNormCall(Call& call) {
  Tensor x = call.TensorOf(0, "x", DType::kF32, {-1, -1});
  Tensor gain = call.TensorOf(1, "gain", DType::kF32, {x.dim(1)});
  Tensor out = call.FloatTensor(4, "out", {x.dim(0), x.dim(1)});
  call.Check(RmsNorm(call.runtime.context, {.x = x.as<float>(),
                                            .gain = gain.as<float>(),
                                            .num_rows = x.dim(0),
                                            .width = x.dim(1),
                                            .eps = static_cast<float>(call.Number(2, "eps")),
                                            .gain_offset = static_cast<float>(call.Number(3, "gainOffset")),
                                            .out = out.data,
                                            .out_type = out.dtype}));
  return call.Nothing();
}

napi_value RmsNormAddCall(Call& call) {
  Tensor x = call.TensorOf(0, "x", DType::kF32, {-1, -1});
  Tensor gain = call.TensorOf(1, "gain", DType::kF32, {x.dim(1)});
  Tensor out = call.TensorOf(3, "out", DType::kF32, {x.dim(0), x.dim(1)});
  call.Check(RmsNorm(call.runtime.context, {.x = x.as<float>(),
                                            .gain = gain.as<float>(),
                                            .num_rows = x.dim(0),
                                            .width = x.dim(1),
                                            .eps = static_cast<float>(call.Number(2, "eps")),
                                            .gain_offset = 0,
                                            .out = out.data,
                                            .out_type = DType::kF32,
                                            .accumulate = true}));
  return call.Nothing();
}

napi_value SoftCapCall(Call& call) {
  Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kF32) call.Refuse("x", "f32", Describe(x));
  call.Check(SoftCap(call.runtime.context,
                     {.x = x.as<float>(), .count = x.size(), .cap = static_cast<float>(call.Number(1, "cap"))}));
  return call.Nothing();
}

napi_value LinearCall(Call& call) {
  const PackedMatrix& w = WeightOf(call, 1, "weight");
  Tensor x = call.FloatTensor(0, "x", {-1, w.cols});
  Tensor bias = call.OptionalTensor(2, "bias", DType::kF32, {w.rows});
  Tensor out = call.FloatTensor(4, "out", {x.dim(0), w.rows});
  bool step = call.count > 5 && call.Flag(5, "step");
  call.Check(Linear(call.runtime.context, {.in = {x.data, x.dtype, x.dim(0), &w, step},
                                           .bias = bias.as<float>(),
                                           .accumulate = call.Flag(3, "accumulate"),
                                           .out = out.data,
                                           .out_type = out.dtype}));
  return call.Nothing();
}

napi_value LinearGatedCall(Call& call) {
  const PackedMatrix& w = WeightOf(call, 1, "weight");
  Tensor x = call.FloatTensor(0, "x", {-1, w.cols});
  Tensor out = call.FloatTensor(3, "out", {x.dim(0), w.rows / 2});
  bool step = call.count > 4 && call.Flag(4, "step");
  call.Check(LinearGated(call.runtime.context, {.in = {x.data, x.dtype, x.dim(0), &w, step},
                                                .kind = call.Flag(2, "kind") ? GateKind::kGeluTanh : GateKind::kSilu,
                                                .out = out.data,
                                                .out_type = out.dtype}));
  return call.Nothing();
}

napi_value GatedActivationCall(Call& call) {
  Tensor gate_up = call.FloatTensor(0, "gateUp", {-1, -1});
  if (gate_up.dim(1) % 2 != 0) call.Refuse("gateUp", "an even number of columns", Describe(gate_up));
  Tensor out = call.FloatTensor(2, "out", {gate_up.dim(0), gate_up.dim(1) / 2});
  call.Check(GatedActivation(call.runtime.context, {.gate_up = gate_up.data,
                                                    .gate_up_type = gate_up.dtype,
                                                    .kind = call.Flag(1, "kind") ? GateKind::kGeluTanh : GateKind::kSilu,
                                                    .num_rows = gate_up.dim(0),
                                                    .width = gate_up.dim(1) / 2,
                                                    .out = out.data,
                                                    .out_type = out.dtype}));
  return call.Nothing();
}

napi_value ArgmaxCall(Call& call) {
  Tensor logits = call.TensorOf(0, "logits", DType::kF32, {-1, -1});
  Tensor out = call.TensorOf(1, "out", DType::kI32, {logits.dim(0)});
  call.Check(Argmax(call.runtime.context,
                    {.logits = logits.as<float>(), .num_rows = logits.dim(0), .width = logits.dim(1), .out = out.as<int32_t>()}));
  return call.Nothing();
}

}  // namespace

void init_dense(napi_env env, napi_value exports, Runtime& runtime) {
  runtime.weights = std::make_shared<WeightTable>(runtime.memory);
  Register(env, exports, runtime,
           {{"packWeight", PackWeight},
            {"packVector", PackVector},
            {"freeWeight", FreeWeight},
            {"weightShape", WeightShape},
            {"embed", EmbedCall},
            {"rmsNorm", RmsNormCall},
            {"rmsNormAdd", RmsNormAddCall},
            {"softCap", SoftCapCall},
            {"linear", LinearCall},
            {"linearGated", LinearGatedCall},
            {"gatedActivation", GatedActivationCall},
            {"argmax", ArgmaxCall}});
}

}  // namespace winnow
