#include <cstdio>
#include <cstring>

#include "caches.h"

/// What can be asked of a cache: lens, positions, contents, bytes, hash.
namespace winnow {

namespace {

template <class T>
napi_value TypedArray(Call& call, napi_typedarray_type type, const std::vector<T>& values) {
  void* data = nullptr;
  napi_value buffer;
  napi_value array;
  napi_create_arraybuffer(call.env, values.size() * sizeof(T), &data, &buffer);
  if (!values.empty()) std::memcpy(data, values.data(), values.size() * sizeof(T));
  napi_create_typedarray(call.env, type, values.size(), buffer, 0, &array);
  return array;
}

napi_value Lens(Call& call) {
  std::vector<int32_t> lens;
  for (const HeadCache& head : CacheOf(call, 0, "cache").heads()) lens.push_back(head.len);
  return TypedArray(call, napi_int32_array, lens);
}

const HeadCache& HeadOf(Call& call, const Cache& cache, int32_t layer, int i) {
  return cache.head(layer, static_cast<int32_t>(call.Int(i, "kvHead", 0, cache.geometry(layer).num_kv_heads - 1)));
}

napi_value Positions(Call& call) {
  const Cache& cache = CacheOf(call, 0, "cache");
  const HeadCache& head = HeadOf(call, cache, LayerOf(call, 1, cache), 2);
  std::vector<int32_t> positions(head.len);
  for (int32_t slot = 0; slot < head.len; slot++) {
    positions[slot] = head.pages[slot / kPageSize]->positions[slot % kPageSize];
  }
  return TypedArray(call, napi_int32_array, positions);
}

napi_value Read(Call& call) {
  const Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 3));
  const LayerGeometry& shape = cache.geometry(layer);
  const int64_t max_len = cache.MaxLen(layer);
  const int32_t dim = what == 0 ? shape.head_dim : what == 1 ? shape.head_dim_v : 1;
  Tensor out;
  const TensorId id = what <= 1 ? call.NewTensor(DType::kF32, {shape.num_kv_heads, max_len, dim}, &out)
                                : call.NewTensor(what == 2 ? DType::kF32 : DType::kI32, {shape.num_kv_heads, max_len}, &out);
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    const HeadCache& head = cache.head(layer, h);
    for (int32_t index = 0; index < PagesFor(head.len); index++) {
      const Page& page = *head.pages[index];
      const int32_t used = UsedSlots(head.len, index);
      const int64_t at = (h * max_len + int64_t{index} * kPageSize) * dim;
      if (what <= 1) ReadRows(page, what, 0, used, out.as<float>() + at, dim);
      if (what == 2) std::memcpy(out.as<float>() + at, page.bias, used * sizeof(float));
      if (what == 3) std::memcpy(out.as<int32_t>() + at, page.counts, used * sizeof(int32_t));
    }
  }
  return call.Value(id);
}

napi_value Bytes(Call& call) { return call.Value(static_cast<double>(CacheOf(call, 0, "cache").Bytes())); }

napi_value ReadBytes(Call& call) {
  const Cache& cache = CacheOf(call, 0, "cache");
  const int32_t layer = LayerOf(call, 1, cache);
  std::vector<double> bytes;
  for (int32_t h = 0; h < cache.geometry(layer).num_kv_heads; h++) {
    bytes.push_back(static_cast<double>(cache.HeadBytes(layer, h)));
  }
  return TypedArray(call, napi_float64_array, bytes);
}

napi_value Hash(Call& call) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(CacheOf(call, 0, "cache").Hash()));
  return call.Text(text);
}

}  // namespace

void RegisterCacheReads(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"cacheLens", Lens},
            {"cachePositions", Positions},
            {"cacheRead", Read},
            {"cacheBytes", Bytes},
            {"cacheReadBytes", ReadBytes},
            {"cacheHash", Hash}});
}

}  // namespace winnow
