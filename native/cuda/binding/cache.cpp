#include <algorithm>

#include "caches.h"

namespace winnow::gpu {

namespace {

std::vector<int32_t> IntList(const Call& call, int i, const char* what) {
  const Span<const int32_t> span = call.Ints(i, what);
  return {span.data, span.data + span.size};
}

napi_value Layout(Call& call) {
  int32_t id = 0;
  call.Check(EngineOf(call).caches.AddLayout(IntList(call, 0, "numKvHeads"), IntList(call, 1, "headDim"), IntList(call, 2, "headDimV"), &id));
  return call.Value(id);
}

napi_value Create(Call& call) {
  int32_t id = 0;
  call.Check(EngineOf(call).caches.Create(static_cast<int32_t>(call.Int(0, "layout", 0, INT32_MAX)), &id));
  return call.Value(id);
}

napi_value Fork(Call& call) {
  int32_t id = 0;
  call.Check(EngineOf(call).caches.Fork(static_cast<int32_t>(call.Int(0, "cache", 0, INT32_MAX)), &id));
  return call.Value(id);
}

napi_value Copy(Call& call) {
  int32_t id = 0;
  call.Check(EngineOf(call).caches.Copy(static_cast<int32_t>(call.Int(0, "cache", 0, INT32_MAX)), &id));
  CountPages(call);
  return call.Value(id);
}

napi_value Trim(Call& call) {
  call.Check(EngineOf(call).caches.Trim());
  return call.Nothing();
}

napi_value Free(Call& call) {
  call.Check(EngineOf(call).caches.Free(static_cast<int32_t>(call.Int(0, "cache", 0, INT32_MAX))));
  CountPages(call);
  return call.Nothing();
}

napi_value Keep(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  const std::vector<int32_t> counts = ReadInts(call, lens);
  bool is_done = false;
  call.Check(EngineOf(call).caches.KeepInPlace(
      {&cache}, {static_cast<int32_t>(call.Int(0, "cache", 0, INT32_MAX))}, layer,
      {.slots = slots.as<int32_t>(), .lens = lens.as<int32_t>(), .slots_stride = static_cast<int32_t>(slots.dim(1))}, counts, &is_done));
  if (!is_done) {
    call.Check(EngineOf(call).caches.Keep(cache, layer, slots.as<int32_t>(), slots.dim(1), slots.dim(1), counts.data()));
  }
  CountPages(call);
  return call.Nothing();
}

napi_value KeepRows(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const int64_t heads = list.geometry().num_kv_heads, lists = call.AnyTensor(3, "lens").dim(1);
  if (lists != 1 && lists != heads) call.Refuse("lens", "one list a row or one a KV head", std::to_string(lists));
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {list.rows(), lists, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {list.rows(), lists});
  const int64_t stride = slots.dim(2);
  const std::vector<int32_t> counts = ReadInts(call, lens);
  bool is_done = false;
  call.Check(EngineOf(call).caches.KeepInPlace(list.caches, list.ids, list.layer,
                                               {.slots = slots.as<int32_t>(),
                                                .lens = lens.as<int32_t>(),
                                                .slots_stride = static_cast<int32_t>(stride),
                                                .one_list_per_row = lists < heads},
                                               counts, &is_done));
  for (int32_t row = 0; row < list.rows() && !is_done; row++) {
    std::vector<int32_t> of_row(counts.begin() + row * lists, counts.begin() + (row + 1) * lists);
    of_row.resize(static_cast<size_t>(heads), of_row[0]);  // one list stands for all heads
    call.Check(EngineOf(call).caches.Keep(*list.caches[static_cast<size_t>(row)], list.layer, slots.as<int32_t>() + row * lists * stride,
                                          lists < heads ? 0 : stride, stride, of_row.data()));
  }
  CountPages(call);
  return call.Nothing();
}

napi_value DropLast(Call& call) {
  call.Check(EngineOf(call).caches.DropLast(CacheOf(call, 0, "cache"), static_cast<int32_t>(call.Int(1, "count", 0, INT32_MAX))));
  CountPages(call);
  return call.Nothing();
}

napi_value Release(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  call.Check(EngineOf(call).caches.ReleaseBefore(cache, layer, static_cast<int32_t>(call.Int(2, "before", INT32_MIN, INT32_MAX))));
  CountPages(call);
  return call.Nothing();
}

napi_value Append(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const LayerGeometry& shape = cache.geometry(layer);
  const Tensor keys = call.TensorOf(2, "keys", DType::kF32, {shape.num_kv_heads, -1, shape.head_dim});
  const int64_t count = keys.dim(1);
  if (count > INT32_MAX - kPageSlots - cache.MaxLen(layer)) call.Refuse("keys", "fewer slots", std::to_string(count));
  const Tensor values = call.TensorOf(3, "values", DType::kF32, {shape.num_kv_heads, count, shape.head_dim});
  const Tensor positions = call.TensorOf(4, "positions", DType::kI32, {shape.num_kv_heads, count});
  const Tensor counts = call.TensorOf(5, "counts", DType::kI32, {shape.num_kv_heads, count});
  const Tensor bias = call.TensorOf(6, "bias", DType::kF32, {shape.num_kv_heads, count});
  const std::vector<int32_t> host_counts = ReadInts(call, counts);
  call.Check(EngineOf(call).caches.Append(cache, layer,
                                          {.count = static_cast<int32_t>(count),
                                           .keys = keys.as<float>(),
                                           .values = values.as<float>(),
                                           .positions = positions.as<int32_t>(),
                                           .counts = counts.as<int32_t>(),
                                           .host_counts = host_counts.data(),
                                           .bias = bias.as<float>()},
                                          call.count > 7 ? static_cast<int32_t>(call.Int(7, "before", 0, INT32_MAX)) : 0));
  CountPages(call);
  return call.Nothing();
}

napi_value Quantise(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const WnPlaneFormat plane{.bits = static_cast<int32_t>(call.Int(4, "bits", 0, 64)),
                            .group = static_cast<int32_t>(call.Int(5, "group", 0, 1 << 15)),
                            .along = static_cast<int32_t>(call.Int(6, "along", 0, 1))};
  call.Check(EngineOf(call).caches.Quantise(cache, LayerOf(call, 1, cache), static_cast<int32_t>(call.Int(2, "what", 0, 1)),
                                            static_cast<int32_t>(call.Int(3, "upTo", 0, INT32_MAX)), plane));
  CountPages(call);
  return call.Nothing();
}

napi_value Poison(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  const std::vector<int32_t> listed = ReadInts(call, slots), counts = ReadInts(call, lens);
  call.Check(EngineOf(call).caches.Poison(cache, layer, listed.data(), slots.dim(1), counts.data()));
  CountPages(call);
  return call.Nothing();
}

napi_value PoisonFreed(Call& call) {
  EngineOf(call).caches.PoisonFreedPages(call.Flag(0, "on"));
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"cacheLayout", Layout},
            {"cacheCreate", Create},
            {"cacheFork", Fork},
            {"cacheCopy", Copy},
            {"cacheTrim", Trim},
            {"cacheFree", Free},
            {"cacheKeep", Keep},
            {"cacheKeepRows", KeepRows},
            {"cacheDropLast", DropLast},
            {"cacheRelease", Release},
            {"cacheAppend", Append},
            {"cacheQuantise", Quantise},
            {"cachePoison", Poison},
            {"poisonFreedPages", PoisonFreed}});
});

}  // namespace

}  // namespace winnow::gpu
