#include "../kernels/attend_decode.h"
#include "../kernels/attend_prefill.h"
#include "../kernels/merge_lse.h"
#include "caches.h"

namespace winnow {

namespace {

float FiniteOf(Call& call, int i, const char* what) {
  const double x = call.Number(i, what);
  if (!(x >= -1e30 && x <= 1e30)) call.Refuse(what, "a finite number", std::to_string(x));
  return static_cast<float>(x);
}

float AtLeastZero(Call& call, int i, const char* what) {
  const float x = FiniteOf(call, i, what);
  if (x < 0.0f) call.Refuse(what, "0 or more", std::to_string(x));
  return x;
}

napi_value Prefill(Call& call) {
  const Cache& cache = CacheOf(call, 1, "cache");
  const int32_t layer = LayerOf(call, 2, cache);
  const LayerGeometry& shape = cache.geometry(layer);
  const DType act = call.runtime.context.act();
  const Tensor q = call.TensorOf(0, "q", act, {-1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const Tensor windows = call.OptionalTensor(6, "windows", DType::kI32, {heads, 2});
  const Tensor out = call.TensorOf(7, "out", act, {q.dim(0), int64_t{heads} * shape.head_dim_v});
  const Tensor lse = call.OptionalTensor(8, "lse", DType::kF32, {q.dim(0), heads});
  if (q.dim(0) > (1 << 30)) call.Refuse("q", "at most 1073741824 queries", std::to_string(q.dim(0)));
  call.Check(AttendPrefill(call.runtime.context,
                           {.cache = &cache,
                            .layer = layer,
                            .num_query_heads = heads,
                            .query_len = static_cast<int32_t>(q.dim(0)),
                            .q = q.data,
                            .softmax_scale = FiniteOf(call, 3, "softmaxScale"),
                            .soft_cap = AtLeastZero(call, 4, "softCap"),
                            .sliding_window = static_cast<int32_t>(call.Int(5, "slidingWindow", 0, INT32_MAX)),
                            .windows = windows.as<int32_t>(),
                            .out = out.data,
                            .lse = lse.as<float>()}));
  return call.Nothing();
}

napi_value Decode(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const DType act = call.runtime.context.act();
  const int64_t rows = list.rows();
  const int64_t query_len = call.Int(3, "queryLen", 1, 1 << 24);
  const Tensor q = call.TensorOf(0, "q", act, {rows * query_len, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const auto scope = static_cast<Scope>(call.Int(7, "scope", 0, 3));
  const int32_t lists = scope == Scope::kRow ? 1 : scope == Scope::kKvHead ? shape.num_kv_heads : heads;
  Tensor indices;
  Tensor lens;
  if (scope != Scope::kAll) {
    indices = call.TensorOf(8, "indices", DType::kI32, {rows, lists, -1});
    lens = call.TensorOf(9, "lens", DType::kI32, {rows, lists});
  }
  const Tensor out = call.TensorOf(11, "out", act, {rows * query_len, int64_t{heads} * shape.head_dim_v});
  const Tensor lse = call.OptionalTensor(12, "lse", DType::kF32, {rows * query_len, heads});
  const Tensor probs = call.OptionalTensor(13, "probs", DType::kF32, {rows, heads, -1});
  call.Check(AttendDecode(call.runtime.context,
                          {.caches = list.data(),
                           .rows = list.rows(),
                           .layer = list.layer,
                           .num_query_heads = heads,
                           .query_len = static_cast<int32_t>(query_len),
                           .q = q.data,
                           .softmax_scale = FiniteOf(call, 4, "softmaxScale"),
                           .soft_cap = AtLeastZero(call, 5, "softCap"),
                           .sliding_window = static_cast<int32_t>(call.Int(6, "slidingWindow", 0, INT32_MAX)),
                           .scope = scope,
                           .indices = indices.as<int32_t>(),
                           .lens = lens.as<int32_t>(),
                           .max_len = static_cast<int32_t>(scope == Scope::kAll ? 0 : indices.dim(2)),
                           .page_size = static_cast<int32_t>(call.Int(10, "pageSize", 0, 1 << 24)),
                           .out = out.data,
                           .lse = lse.as<float>(),
                           .probs = probs.as<float>(),
                           .max_slots = probs.data == nullptr ? 0 : probs.dim(2)}));
  return call.Nothing();
}

napi_value Merge(Call& call) {
  const Tensor outs = call.TensorOf(0, "outs", DType::kF32, {-1, -1, -1, -1});
  const int64_t tokens = outs.dim(1);
  const int64_t heads = outs.dim(2);
  const Tensor lses = call.TensorOf(1, "lses", DType::kF32, {outs.dim(0), tokens, heads});
  const Tensor out = call.TensorOf(2, "out", DType::kF32, {tokens, heads, outs.dim(3)});
  const Tensor lse = call.TensorOf(3, "lse", DType::kF32, {tokens, heads});
  call.Check(MergeLse(call.runtime.context, {.outs = outs.as<float>(),
                                             .lses = lses.as<float>(),
                                             .num_parts = outs.dim(0),
                                             .rows = tokens * heads,
                                             .width = outs.dim(3),
                                             .out = out.as<float>(),
                                             .lse = lse.as<float>()}));
  return call.Nothing();
}

}  // namespace

void init_attention(napi_env env, napi_value exports, Runtime& runtime) {
  RegisterAttendSets(env, exports, runtime);
  RegisterPlanMix(env, exports, runtime);
  Register(env, exports, runtime, {{"attendPrefill", Prefill}, {"attendDecode", Decode}, {"mergeLse", Merge}});
}

}  // namespace winnow
