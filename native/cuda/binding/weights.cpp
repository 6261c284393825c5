#include "../../binding/weight_sources.h"
#include "backend.h"

namespace winnow::gpu {

const DeviceWeight& WeightOf(const Call& call, int i, const char* what) {
  const DeviceWeight* found = nullptr;
  if (Status s = EngineOf(call).weights.Get(call.Id(i, what), what, &found); !s.ok()) {
    call.Refuse(what, s.failure()->expected, s.failure()->actual);
  }
  return *found;
}

namespace {

napi_value PackWeight(Call& call) {
  const std::vector<WeightSource> sources = ReadSources(call, 0);
  uint32_t id = 0;
  call.Check(EngineOf(call).weights.Pack(sources, call.Int(1, "interleave", 0, INT32_MAX), &id));
  return call.Value(id);
}

napi_value PackVector(Call& call) {
  const WeightSource source = ReadVectorSource(call);
  std::vector<float> values(static_cast<size_t>(source.cols));
  call.Check(UnpackVector(source, values.data()));
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {source.cols}, &out);
  call.Check(DeviceOf(call).CopyUp(out.data, values.data(), values.size() * 4));
  return call.Value(id);
}

napi_value RandomWeight(Call& call) {
  uint32_t id = 0;
  call.Check(EngineOf(call).weights.Random(call.Int(0, "rows", 1, 1 << 28), call.Int(1, "cols", 1, 1 << 28),
                                           static_cast<uint32_t>(call.Int(2, "seed", 0, UINT32_MAX)),
                                           static_cast<float>(call.Number(3, "deviation")), &id));
  return call.Value(id);
}

napi_value FreeWeight(Call& call) {
  call.Check(EngineOf(call).weights.Free(call.Id(0, "w")));
  return call.Nothing();
}

napi_value WeightShape(Call& call) {
  const DeviceWeight& w = WeightOf(call, 0, "w");
  napi_value shape;
  napi_create_array_with_length(call.env, 2, &shape);
  napi_set_element(call.env, shape, 0, call.Value(static_cast<double>(w.rows)));
  napi_set_element(call.env, shape, 1, call.Value(static_cast<double>(w.cols)));
  return shape;
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"packWeight", PackWeight},
            {"packVector", PackVector},
            {"randomWeight", RandomWeight},
            {"freeWeight", FreeWeight},
            {"weightShape", WeightShape}});
});

}  // namespace

}  // namespace winnow::gpu
