#include <algorithm>

#include "../kernels/rope_append.h"
#include "caches.h"

namespace winnow {

namespace {

void CountPages(Call& call) { call.runtime.memory.cache_bytes = LivePageBytes(); }

std::vector<int32_t> IntList(Call& call, int i, const char* what) {
  const Span<const int32_t> span = call.Ints(i, what);
  return {span.data, span.data + span.size};
}

napi_value Layout(Call& call) {
  CacheLayout layout;
  call.Check(MakeLayout(IntList(call, 0, "numKvHeads"), IntList(call, 1, "headDim"), IntList(call, 2, "headDimV"),
                        call.runtime.context.act(), &layout));
  return call.Value(call.runtime.caches->AddLayout(std::move(layout)));
}

napi_value Create(Call& call) {
  CacheId id = 0;
  call.Check(call.runtime.caches->Create(static_cast<LayoutId>(call.Int(0, "layout", 0, INT32_MAX)), &id));
  return call.Value(id);
}

napi_value Fork(Call& call) {
  CacheId id = 0;
  call.Check(call.runtime.caches->Fork(static_cast<CacheId>(call.Int(0, "cache", 0, INT32_MAX)), &id));
  return call.Value(id);
}

napi_value Copy(Call& call) {
  CacheId id = 0;
  call.Check(call.runtime.caches->Copy(static_cast<CacheId>(call.Int(0, "cache", 0, INT32_MAX)), &id));
  CountPages(call);
  return call.Value(id);
}

napi_value Free(Call& call) {
  call.Check(call.runtime.caches->Free(static_cast<CacheId>(call.Int(0, "cache", 0, INT32_MAX))));
  CountPages(call);
  return call.Nothing();
}

napi_value Keep(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  call.Check(cache.Keep(layer, slots.as<int32_t>(), slots.dim(1), lens.as<int32_t>()));
  CountPages(call);
  return call.Nothing();
}

napi_value Release(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  cache.ReleaseBefore(LayerOf(call, 1, cache), static_cast<int32_t>(call.Int(2, "before", INT32_MIN, INT32_MAX)));
  CountPages(call);
  return call.Nothing();
}

napi_value KeepRows(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const int64_t heads = list.geometry().num_kv_heads, lists = call.AnyTensor(3, "lens").dim(1);
  if (lists != 1 && lists != heads) call.Refuse("lens", "one list a row or one a KV head", std::to_string(lists));
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {list.rows(), lists, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {list.rows(), lists});
  call.Check(Cache::KeepRows(list.caches, list.layer, slots.as<int32_t>(), slots.dim(2), lens.as<int32_t>(), lists));
  CountPages(call);
  return call.Nothing();
}

napi_value DropLast(Call& call) {
  call.Check(CacheOf(call, 0, "cache").DropLast(static_cast<int32_t>(call.Int(1, "count", 0, INT32_MAX))));
  CountPages(call);
  return call.Nothing();
}

napi_value Append(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const LayerGeometry& shape = cache.geometry(layer);
  const Tensor keys = call.TensorOf(2, "keys", DType::kF32, {shape.num_kv_heads, -1, shape.head_dim});
  const int64_t count = keys.dim(1);
  if (count > INT32_MAX - kPageSize - cache.MaxLen(layer)) call.Refuse("keys", "fewer slots", std::to_string(count));
  const Tensor values = call.TensorOf(3, "values", DType::kF32, {shape.num_kv_heads, count, shape.head_dim_v});
  const Tensor positions = call.TensorOf(4, "positions", DType::kI32, {shape.num_kv_heads, count});
  const Tensor counts = call.TensorOf(5, "counts", DType::kI32, {shape.num_kv_heads, count});
  const Tensor bias = call.TensorOf(6, "bias", DType::kF32, {shape.num_kv_heads, count});
  call.Check(cache.Append(layer, static_cast<int32_t>(count), keys.as<float>(), values.as<float>(), positions.as<int32_t>(),
                          counts.as<int32_t>(), bias.as<float>(),
                          call.count > 7 ? static_cast<int32_t>(call.Int(7, "before", 0, INT32_MAX)) : 0));
  CountPages(call);
  return call.Nothing();
}

napi_value Quantise(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const int32_t up_to = static_cast<int32_t>(call.Int(3, "upTo", 0, INT32_MAX));
  const PlaneFormat format{static_cast<uint8_t>(call.Int(4, "bits", 2, 8)), static_cast<uint8_t>(call.Int(6, "along", 0, 1)),
                           static_cast<int16_t>(call.Int(5, "group", 1, 32767))};
  call.Check(cache.Quantise(layer, what, up_to, format));
  CountPages(call);
  return call.Nothing();
}

napi_value Poison(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  call.Check(cache.Poison(layer, slots.as<int32_t>(), slots.dim(1), lens.as<int32_t>()));
  CountPages(call);
  return call.Nothing();
}

napi_value PoisonFreed(Call& call) {
  PoisonFreedPages(call.Flag(0, "on"));
  return call.Nothing();
}

napi_value RopeAppendCall(Call& call) {
  const CacheList list = CachesOf(call, 4, 5, true);
  const LayerGeometry& shape = list.geometry();
  const int64_t heads = call.Int(3, "numQueryHeads", 1, 1 << 20);
  const Tensor qkv = call.FloatTensor(0, "qkv", {-1, (heads + 2 * shape.num_kv_heads) * shape.head_dim});
  const int64_t tokens = qkv.dim(0);
  if (tokens % list.rows() != 0 || tokens > (1 << 30)) {
    call.Refuse("qkv", "a multiple of " + std::to_string(list.rows()) + " rows", std::to_string(tokens));
  }
  const Tensor positions = call.TensorOf(1, "positions", DType::kI32, {tokens});
  const Tensor cos_sin = call.TensorOf(2, "cosSin", DType::kF32, {-1, -1});
  const Tensor q_norm = call.OptionalTensor(7, "qNorm", DType::kF32, {shape.head_dim});
  const Tensor k_norm = call.OptionalTensor(8, "kNorm", DType::kF32, {shape.head_dim});
  const Tensor q_out = call.TensorOf(10, "qOut", call.runtime.context.act(), {tokens, heads * shape.head_dim});
  call.Check(RopeAppend(call.runtime.context,
                        {.qkv = qkv.data,
                         .qkv_type = qkv.dtype,
                         .positions = positions.as<int32_t>(),
                         .cos_sin = cos_sin.as<float>(),
                         .max_positions = cos_sin.dim(0),
                         .rope_dims = static_cast<int32_t>(std::min<int64_t>(cos_sin.dim(1), INT32_MAX)),
                         .query_len = static_cast<int32_t>(tokens / list.rows()),
                         .num_query_heads = static_cast<int32_t>(heads),
                         .caches = list.caches.data(),
                         .rows = list.rows(),
                         .layer = list.layer,
                         .pre_rope_keys = call.Flag(6, "preRopeKeys"),
                         .q_norm = q_norm.as<float>(),
                         .k_norm = k_norm.as<float>(),
                         .eps = static_cast<float>(call.Number(9, "eps")),
                         .q_out = q_out.data}));
  CountPages(call);
  return call.Nothing();
}

}  // namespace

void init_cache(napi_env env, napi_value exports, Runtime& runtime) {
  runtime.caches = std::make_shared<CacheTable>();
  Register(env, exports, runtime,
           {{"cacheLayout", Layout},
            {"cacheCreate", Create},
            {"cacheFork", Fork},
            {"cacheCopy", Copy},
            {"cacheFree", Free},
            {"cacheKeep", Keep},
            {"cacheKeepRows", KeepRows},
            {"cacheDropLast", DropLast},
            {"cacheRelease", Release},
            {"cacheAppend", Append},
            {"cacheQuantise", Quantise},
            {"cachePoison", Poison},
            {"poisonFreedPages", PoisonFreed},
            {"ropeAppend", RopeAppendCall}});
  RegisterCacheReads(env, exports, runtime);
  RegisterCacheEdits(env, exports, runtime);
}

}  // namespace winnow
