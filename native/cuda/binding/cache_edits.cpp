#include <algorithm>

#include "caches.h"

/// Changes of stored slots in place.
namespace winnow::gpu {

namespace {

int32_t StrideOf(const Call& call, const Tensor& lists, const char* what) {
  if (lists.dim(1) > (1 << 28)) call.Refuse(what, "at most 268435456 entries", std::to_string(lists.dim(1)));
  return static_cast<int32_t>(lists.dim(1));
}

napi_value Merge(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache), heads = cache.geometry(layer).num_kv_heads;
  const Tensor from = call.TensorOf(2, "from", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  const Tensor into = call.TensorOf(4, "into", DType::kI32, {heads, from.dim(1)});
  const Tensor weight = call.TensorOf(5, "weight", DType::kF32, {heads, from.dim(1)});
  call.Check(EngineOf(call).caches.Merge(cache, layer,
                                         {.from = from.as<int32_t>(),
                                          .into = into.as<int32_t>(),
                                          .weight = weight.as<float>(),
                                          .lens = lens.as<int32_t>(),
                                          .stride = StrideOf(call, from, "from"),
                                          .keys = static_cast<int32_t>(call.Int(6, "keys", 0, 2)),
                                          .values = static_cast<int32_t>(call.Int(7, "values", 0, 1)),
                                          .bias = static_cast<int32_t>(call.Int(8, "bias", 0, 1))}));
  CountPages(call);
  return call.Nothing();
}

napi_value Rotate(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache), heads = cache.geometry(layer).num_kv_heads, width = cache.geometry(layer).head_dim;
  const Tensor slots = call.TensorOf(2, "slots", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(3, "lens", DType::kI32, {heads});
  const Tensor delta = call.TensorOf(4, "delta", DType::kI32, {heads, slots.dim(1)});
  const Tensor cos_sin = call.OptionalTensor(5, "cosSin", DType::kF32, {-1, -1});
  const bool turns = cos_sin.data != nullptr;
  const int64_t dims = turns ? cos_sin.dim(1) : 0;
  if (turns && (dims < 2 || dims % 2 != 0 || dims > width || cos_sin.dim(0) < 1)) {
    call.Refuse("cosSin", "an even number of rotary channels up to " + std::to_string(width), std::to_string(dims));
  }
  call.Check(EngineOf(call).caches.Rotate(cache, layer,
                                          {.slots = slots.as<int32_t>(),
                                           .lens = lens.as<int32_t>(),
                                           .delta = delta.as<int32_t>(),
                                           .cos_sin = cos_sin.as<float>(),
                                           .stride = StrideOf(call, slots, "slots"),
                                           .max_positions = turns ? static_cast<int32_t>(std::min<int64_t>(cos_sin.dim(0), INT32_MAX)) : 0,
                                           .rope_dims = static_cast<int32_t>(dims)}));
  CountPages(call);
  return call.Nothing();
}

napi_value KeepChannels(Call& call) {
  Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache), heads = cache.geometry(layer).num_kv_heads;
  const auto up_to = static_cast<int32_t>(call.Int(2, "upTo", 0, INT32_MAX));
  const Tensor channels = call.TensorOf(3, "channels", DType::kI32, {heads, -1});
  const Tensor lens = call.TensorOf(4, "lens", DType::kI32, {heads});
  call.Check(EngineOf(call).caches.KeepChannels(cache, layer, up_to, channels.as<int32_t>(), StrideOf(call, channels, "channels"), lens.as<int32_t>()));
  CountPages(call);
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"cacheMerge", Merge}, {"cacheRotate", Rotate}, {"cacheKeepChannels", KeepChannels}});
});

}  // namespace

}  // namespace winnow::gpu
