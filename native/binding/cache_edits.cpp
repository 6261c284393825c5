#include <algorithm>

#include "../kernels/cache_merge.h"
#include "../kernels/cache_rotate.h"
#include "caches.h"

/// Changes of stored slots in place: merge, rotation, channels.
namespace winnow {

namespace {

void CountPages(Call& call) { call.runtime.memory.cache_bytes = LivePageBytes(); }

napi_value Merge(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor from = call.TensorOf(2, "from", DType::kI32, {heads, -1});
  const int64_t stride = from.dim(1);
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  const Tensor into = call.TensorOf(4, "into", DType::kI32, {heads, stride});
  const Tensor weight = call.TensorOf(5, "weight", DType::kF32, {heads, stride});
  call.Check(cache.Merge(call.runtime.context, {.layer = layer,
                                                .from = from.as<int32_t>(),
                                                .into = into.as<int32_t>(),
                                                .weight = weight.as<float>(),
                                                .stride = stride,
                                                .lens = lens.as<int32_t>(),
                                                .keys = static_cast<MergeKeys>(call.Int(6, "keys", 0, 2)),
                                                .values = static_cast<MergeValues>(call.Int(7, "values", 0, 1)),
                                                .bias = static_cast<MergeBias>(call.Int(8, "bias", 0, 1))}));
  CountPages(call);
  return call.Nothing();
}

napi_value Rotate(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  const Tensor delta = call.TensorOf(4, "delta", DType::kI32, {heads, slots.dim(1)});
  const Tensor cos_sin = call.OptionalTensor(5, "cosSin", DType::kF32, {-1, -1});
  call.Check(cache.Rotate(call.runtime.context,
                          {.layer = layer,
                           .slots = slots.as<int32_t>(),
                           .stride = slots.dim(1),
                           .lens = lens.as<int32_t>(),
                           .delta = delta.as<int32_t>(),
                           .cos_sin = cos_sin.as<float>(),
                           .max_positions = cos_sin.data == nullptr ? 0 : cos_sin.dim(0),
                           .rope_dims = cos_sin.data == nullptr ? 0 : static_cast<int32_t>(std::min<int64_t>(cos_sin.dim(1), INT32_MAX))}));
  CountPages(call);
  return call.Nothing();
}

napi_value KeepChannels(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t heads = cache.geometry(layer).num_kv_heads;
  const Tensor channels = call.TensorOf(3, "channels", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(4, "lens", DType::kI32, {heads});
  call.Check(cache.KeepChannels(layer, static_cast<int32_t>(call.Int(2, "upTo", 0, INT32_MAX)), channels.as<int32_t>(),
                                channels.dim(1), lens.as<int32_t>()));
  CountPages(call);
  return call.Nothing();
}

}  // namespace

void RegisterCacheEdits(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"cacheMerge", Merge}, {"cacheRotate", Rotate}, {"cacheKeepChannels", KeepChannels}});
}

}  // namespace winnow
