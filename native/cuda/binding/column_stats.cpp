#include "caches.h"
#include "winnow_cuda/column_stats.h"

/// Statistics of attention by key column.
namespace winnow::gpu {

namespace {

/// Planes of a state: closed blocks and the open one, of p and for the variance of p^2 too. The device closes all at once.
int64_t PlanesOf(int64_t reduce) { return reduce == WN_COLUMN_VARIANCE ? 4 : 2; }

napi_value Stats(Call& call) {
  CacheList list;
  list.ids = {static_cast<int32_t>(call.Int(1, "cache", 0, INT32_MAX))};
  list.caches = {&CacheOf(call, 1, "cache")};
  list.layer = LayerOf(call, 2, *list.caches[0]);
  const LayerGeometry& shape = list.geometry();
  const Tensor q = call.TensorOf(0, "q", DType::kBf16, {-1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const int64_t reduce = call.Int(8, "reduce", 0, 4);
  const Tensor state = call.TensorOf(9, "state", DType::kF32, {PlanesOf(reduce), heads, -1});
  const Tensor lse = call.TensorOf(6, "lse", DType::kF32, {q.dim(0), heads});
  if (list.caches[0]->MinLen(list.layer) < q.dim(0) || list.MaxLen() > state.dim(2)) {
    call.Refuse("state", "room for every slot, and a slot for every query", Describe(state));
  }
  if (q.dim(0) == 0) return call.Nothing();
  const WnCacheView view = ViewOf(call, list);
  const WnColumnStatsParams params{.q = q.data,
                                   .pages = view.pages,
                                   .page_table = view.page_table,
                                   .kv_lens = view.kv_lens,
                                   .positions = view.positions,
                                   .log_bias = view.log_bias,
                                   .lse = lse.as<float>(),
                                   .state = state.as<float>(),
                                   .width = state.dim(2),
                                   .query_len = static_cast<int32_t>(q.dim(0)),
                                   .num_query_heads = heads,
                                   .num_kv_heads = shape.num_kv_heads,
                                   .head_dim = shape.head_dim,
                                   .page_table_stride = view.page_table_stride,
                                   .sliding_window = static_cast<int32_t>(call.Int(5, "slidingWindow", 0, INT32_MAX)),
                                   .first_row = static_cast<int32_t>(call.Int(7, "firstRow", 0, INT32_MAX)),
                                   .reduce = static_cast<int32_t>(reduce),
                                   .softmax_scale = static_cast<float>(call.Number(3, "softmaxScale")),
                                   .soft_cap = static_cast<float>(call.Number(4, "softCap"))};
  Issue(call, wn_column_stats(&params, StreamOf(call)));
  return call.Nothing();
}

napi_value Finish(Call& call) {
  const int64_t reduce = call.Int(1, "reduce", 0, 4);
  const Tensor state = call.TensorOf(0, "state", DType::kF32, {PlanesOf(reduce), -1, -1});
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {1, state.dim(1), state.dim(2)}, &out);
  if (state.dim(1) * state.dim(2) == 0) return call.Value(id);
  const WnFinishColumnStatsParams params{.state = state.as<float>(),
                                         .out = out.as<float>(),
                                         .width = state.dim(2),
                                         .first_row = call.Int(2, "firstRow", 0, INT32_MAX),
                                         .num_rows = call.Int(3, "rows", 0, INT32_MAX),
                                         .num_query_heads = static_cast<int32_t>(state.dim(1)),
                                         .reduce = static_cast<int32_t>(reduce)};
  Issue(call, wn_finish_column_stats(&params, StreamOf(call)));
  return call.Value(id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"columnStats", Stats}, {"finishColumnStats", Finish}});
});

}  // namespace

}  // namespace winnow::gpu
