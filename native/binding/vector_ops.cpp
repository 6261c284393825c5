#include "../kernels/axpby.h"
#include "../kernels/quantise.h"
#include "caches.h"

/// Ops on plain tensors of scores and values.
namespace winnow {

namespace {

/// A new tensor of the same dtype and dims.
TensorId Like(Call& call, const Tensor& t, Tensor* out) {
  TensorId id = 0;
  call.Check(call.runtime.tensors.Make(t.dtype, t.dims.data(), t.rank, &id));
  const Tensor* made = nullptr;
  call.Check(call.runtime.tensors.Get(id, call.name, &made));
  *out = *made;
  return id;
}

napi_value AxpbyCall(Call& call) {
  const Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kF32) call.Refuse("x", "f32", Describe(x));
  Tensor y;
  if (call.Given(2, "y")) {
    y = call.AnyTensor(2, "y");
    if (y.dtype != DType::kF32 || y.rank != x.rank || y.dims != x.dims) call.Refuse("y", Describe(x), Describe(y));
  }
  Tensor out;
  const TensorId id = Like(call, x, &out);
  Axpby(x.as<float>(), static_cast<float>(call.Number(1, "a")), y.as<float>(), static_cast<float>(call.Number(3, "b")), x.size(),
        out.as<float>());
  return call.Value(id);
}

napi_value Reduce(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const auto how = static_cast<HeadReduce>(call.Int(1, "how", 0, 2));
  if (scores.dim(1) < 1) call.Refuse("scores", "at least one list", Describe(scores));
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {scores.dim(0), 1, scores.dim(2)}, &out);
  ReduceHeads(scores.as<float>(), scores.dim(0), scores.dim(1), scores.dim(2), how, out.as<float>());
  return call.Value(id);
}

napi_value RoundTrip(Call& call) {
  const Tensor x = call.TensorOf(0, "x", DType::kF32, {-1, -1});
  const int64_t bits = call.Int(1, "bits", 0, 255);
  const int64_t group = call.Int(2, "group", 0, 32767);
  const int64_t along = call.Int(3, "along", 0, 1);
  call.Check(CheckFormat("quantiseRoundTrip", bits, group, along, x.dim(0), x.dim(1)));
  if (x.size() > INT32_MAX) call.Refuse("x", "fewer than 2147483648 values", Describe(x));
  Tensor out;
  const TensorId id = Like(call, x, &out);
  const PlaneFormat format{static_cast<uint8_t>(bits), static_cast<uint8_t>(along), static_cast<int16_t>(group)};
  call.Check(QuantiseRoundTrip(x.as<float>(), static_cast<int32_t>(x.dim(0)), static_cast<int32_t>(x.dim(1)), format,
                               out.as<float>()));
  return call.Value(id);
}

}  // namespace

void RegisterVectorOps(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"axpby", AxpbyCall}, {"reduceHeads", Reduce}, {"quantiseRoundTrip", RoundTrip}});
}

}  // namespace winnow
