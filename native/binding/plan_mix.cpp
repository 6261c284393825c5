#include "../kernels/plan_mix.h"

#include "../kernels/column_stats.h"
#include "caches.h"

namespace winnow {
namespace {

napi_value ScaleRowsCall(Call& call) {
  const Tensor x = call.FloatTensor(0, "x", {-1, -1});
  const Tensor factor = call.AnyTensor(1, "factor");
  const Tensor out = call.FloatTensor(2, "out", {x.dim(0), x.dim(1)});
  const int64_t rows = factor.size();
  if (factor.dtype != DType::kF32 || rows == 0 || x.size() % rows != 0 || rows % x.dim(0) != 0) {
    call.Refuse("factor", "one f32 for each token and head of " + Describe(x), Describe(factor));
  }
  call.Check(ScaleRows(x, factor.as<float>(), rows, x.size() / rows, out));
  return call.Nothing();
}

napi_value MixPartsCall(Call& call) {
  const Tensor outs = call.TensorOf(0, "outs", DType::kF32, {-1, -1, -1, -1});
  const Tensor gates = call.AnyTensor(1, "gates");
  const Tensor out = call.TensorOf(2, "out", DType::kF32, {outs.dim(1), outs.dim(2), outs.dim(3)});
  const int64_t rows = outs.dim(1) * outs.dim(2);
  if (gates.dtype != DType::kF32 || gates.size() != rows * outs.dim(0) || gates.dim(gates.rank - 1) != outs.dim(0)) {
    call.Refuse("gates", "f32 [rows, T, Hq, " + std::to_string(outs.dim(0)) + "]", Describe(gates));
  }
  call.Check(MixParts(outs.as<float>(), gates.as<float>(), outs.dim(0), rows, outs.dim(3), out.as<float>()));
  return call.Nothing();
}

napi_value ChooseRowsCall(Call& call) {
  const Tensor predicate = call.AnyTensor(0, "predicate");
  const Tensor yes = call.AnyTensor(1, "yes");
  const Tensor no = call.TensorOf(2, "no", yes.dtype, {-1, -1, -1});
  if (yes.rank != 3 || yes.dim(0) != no.dim(0) || yes.dim(1) != no.dim(1)) {
    call.Refuse("yes", "rows and lists of " + Describe(no), Describe(yes));
  }
  const bool fits = (predicate.dtype == DType::kF32 || predicate.dtype == DType::kI32) && predicate.size() == yes.dim(0);
  if (!fits) call.Refuse("predicate", "one f32 or i32 for each of " + std::to_string(yes.dim(0)) + " rows", Describe(predicate));
  Tensor out;
  const TensorId id = call.NewTensor(yes.dtype, {yes.dim(0), yes.dim(1), std::max(yes.dim(2), no.dim(2))}, &out);
  call.Check(ChooseRows(predicate, yes, no, out));
  return call.Value(id);
}

napi_value ColumnStatsCall(Call& call) {
  const Cache& cache = CacheOf(call, 1, "cache");
  const int32_t layer = LayerOf(call, 2, cache);
  const LayerGeometry& shape = cache.geometry(layer);
  const Tensor q = call.TensorOf(0, "q", call.runtime.context.act(), {-1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const auto reduce = static_cast<ColumnReduce>(call.Int(8, "reduce", 0, 4));
  const Tensor state = call.TensorOf(9, "state", DType::kF32, {ColumnPlanes(reduce), heads, -1});
  call.Check(ColumnStats(call.runtime.context,
                         {.cache = &cache,
                          .layer = layer,
                          .num_query_heads = heads,
                          .query_len = static_cast<int32_t>(q.dim(0)),
                          .q = q.data,
                          .softmax_scale = static_cast<float>(call.Number(3, "softmaxScale")),
                          .soft_cap = static_cast<float>(call.Number(4, "softCap")),
                          .sliding_window = static_cast<int32_t>(call.Int(5, "slidingWindow", 0, INT32_MAX)),
                          .lse = call.TensorOf(6, "lse", DType::kF32, {q.dim(0), heads}).as<float>(),
                          .first_row = static_cast<int32_t>(call.Int(7, "firstRow", 0, INT32_MAX)),
                          .reduce = reduce,
                          .state = state.as<float>(),
                          .width = state.dim(2)}));
  return call.Nothing();
}

napi_value FinishColumnStatsCall(Call& call) {
  const auto reduce = static_cast<ColumnReduce>(call.Int(1, "reduce", 0, 4));
  const Tensor state = call.TensorOf(0, "state", DType::kF32, {ColumnPlanes(reduce), -1, -1});
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {1, state.dim(1), state.dim(2)}, &out);
  call.Check(FinishColumnStats(state.as<float>(), static_cast<int32_t>(state.dim(1)), state.dim(2), reduce,
                               call.Int(2, "firstRow", 0, INT32_MAX), call.Int(3, "rows", 0, INT32_MAX), out.as<float>()));
  return call.Value(id);
}

}  // namespace

void RegisterPlanMix(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"scaleRows", ScaleRowsCall},
            {"mixParts", MixPartsCall},
            {"chooseRows", ChooseRowsCall},
            {"columnStats", ColumnStatsCall},
            {"finishColumnStats", FinishColumnStatsCall}});
}

}  // namespace winnow
