#include <cstdio>
#include <cstring>

#include "caches.h"
#include "winnow_cuda/cache_read.h"

/// What can be asked of a cache: lens, positions, contents, bytes, hash.
namespace winnow::gpu {

namespace {

template <class T>
napi_value TypedArray(Call& call, napi_typedarray_type type, const std::vector<T>& values) {
  void* data = nullptr;
  napi_value buffer, array;
  napi_create_arraybuffer(call.env, values.size() * sizeof(T), &data, &buffer);
  if (!values.empty()) std::memcpy(data, values.data(), values.size() * sizeof(T));
  napi_create_typedarray(call.env, type, values.size(), buffer, 0, &array);
  return array;
}

napi_value Lens(Call& call) {
  std::vector<int32_t> lens;
  for (const HeadSlots& head : CacheOf(call, 0, "cache").heads()) lens.push_back(head.len);
  return TypedArray(call, napi_int32_array, lens);
}

napi_value Positions(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache), heads = cache.geometry(layer).num_kv_heads;
  const auto head = static_cast<int32_t>(call.Int(2, "kvHead", 0, heads - 1));
  const int64_t stride = cache.MaxLen(layer);
  std::vector<int32_t> all(static_cast<size_t>(heads * stride));
  call.Check(EngineOf(call).caches.ReadDown(cache, layer, WN_READ_POSITIONS, all.data()));
  const auto first = all.begin() + head * stride;
  return TypedArray(call, napi_int32_array, std::vector<int32_t>(first, first + cache.head(layer, head).len));
}

napi_value Read(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const auto what = static_cast<int32_t>(call.Int(2, "what", 0, 3));
  const LayerGeometry& shape = cache.geometry(layer);
  const int64_t longest = cache.MaxLen(layer);
  Tensor out;
  const TensorId id = what <= WN_READ_VALUES ? call.NewTensor(DType::kF32, {shape.num_kv_heads, longest, shape.head_dim}, &out)
                                             : call.NewTensor(what == WN_READ_BIAS ? DType::kF32 : DType::kI32, {shape.num_kv_heads, longest}, &out);
  if (out.size() == 0) return call.Value(id);
  WnCacheReadParams params{.out = out.data, .what = what, .max_len = static_cast<int32_t>(longest)};
  call.Check(EngineOf(call).caches.PackedView({&cache}, {}, layer, 0, &params.cache));
  params.cache.log_bias = shape.pool->bias();
  Issue(call, wn_cache_read(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Bytes(Call& call) { return call.Value(static_cast<double>(CacheOf(call, 0, "cache").Bytes())); }

napi_value ReadBytes(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  std::vector<double> bytes;
  for (int32_t h = 0; h < cache.geometry(layer).num_kv_heads; h++) bytes.push_back(static_cast<double>(cache.HeadBytes(layer, h)));
  return TypedArray(call, napi_float64_array, bytes);
}

napi_value Hash(Call& call) {
  uint64_t hash = 0;
  call.Check(EngineOf(call).caches.Hash(CacheOf(call, 0, "cache"), &hash));
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return call.Text(text);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"cacheLens", Lens},
            {"cachePositions", Positions},
            {"cacheRead", Read},
            {"cacheBytes", Bytes},
            {"cacheReadBytes", ReadBytes},
            {"cacheHash", Hash}});
});

}  // namespace

}  // namespace winnow::gpu
