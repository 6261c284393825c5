#include "lists.h"

/// Sums, mixes and choices of plain tensors of scores and values.
namespace winnow::gpu {

namespace {

napi_value Axpby(Call& call) {
  const Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kF32) call.Refuse("x", "f32", Describe(x));
  Tensor y;
  if (call.Given(2, "y")) {
    y = call.AnyTensor(2, "y");
    if (y.dtype != DType::kF32 || y.rank != x.rank || y.dims != x.dims) call.Refuse("y", Describe(x), Describe(y));
  }
  Tensor out;
  const TensorId id = MakeLike(call, DType::kF32, x, 0, &out);
  const WnElementwiseParams params{.x = x.data,
                                   .y = y.data,
                                   .out = out.data,
                                   .count = x.size(),
                                   .op = WN_ELEMENT_AXPBY,
                                   .x_type = WN_F32,
                                   .out_type = WN_F32,
                                   .a = static_cast<float>(call.Number(1, "a")),
                                   .b = static_cast<float>(call.Number(3, "b"))};
  Issue(call, wn_elementwise(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Reduce(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const int64_t how = call.Int(1, "how", 0, 2);
  if (scores.dim(1) < 1) call.Refuse("scores", "at least one list", Describe(scores));
  Tensor out;
  const TensorId id = NewResult(call, DType::kF32, {scores.dim(0), 1, scores.dim(2)}, &out);
  const WnListMovesParams params{.values = scores.data,
                                 .out = out.data,
                                 .num_lists = scores.dim(0),
                                 .width = static_cast<int32_t>(scores.dim(2)),
                                 .length = static_cast<int32_t>(scores.dim(1)),
                                 .op = WN_MOVE_REDUCE,
                                 .how = static_cast<int32_t>(how)};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  // A mean or sum is -inf where any list has ended, the largest where all have.
  if (const Fact* finite = EngineOf(call).known.Find(scores, Known::kFinite)) {
    Fact reduced;
    for (auto row = finite->first.begin(); row != finite->first.end(); row += scores.dim(1)) {
      reduced.first.push_back(how == 2 ? *std::max_element(row, row + scores.dim(1)) : *std::min_element(row, row + scores.dim(1)));
    }
    EngineOf(call).known.Remember(out, Known::kFinite, std::move(reduced));
  }
  return call.Value(id);
}

napi_value AddRows(Call& call) {
  const Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kI32 || x.rank < 1 || x.dim(0) < 1) call.Refuse("x", "i32 with rows", Describe(x));
  const Span<const int32_t> by = call.Ints(1, "by");
  if (by.size != x.dim(0)) call.Refuse("by", std::to_string(x.dim(0)) + " numbers", std::to_string(by.size));
  Tensor out;
  const TensorId id = MakeLike(call, DType::kI32, x, 0, &out);
  if (x.size() == 0) return call.Value(id);
  const WnElementwiseParams params{.x = x.data,
                                   .y = StageFor(call, by.data, static_cast<size_t>(by.size)),
                                   .out = out.data,
                                   .count = x.size(),
                                   .row_len = x.size() / x.dim(0),
                                   .op = WN_ELEMENT_ADD_ROWS,
                                   .x_type = WN_I32,
                                   .out_type = WN_I32};
  Issue(call, wn_elementwise(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value ScaleRows(Call& call) {
  const Tensor x = call.FloatTensor(0, "x", {-1, -1});
  const Tensor factor = call.AnyTensor(1, "factor");
  const Tensor out = call.FloatTensor(2, "out", {x.dim(0), x.dim(1)});
  const int64_t rows = factor.size();
  if (factor.dtype != DType::kF32 || rows == 0 || x.size() % rows != 0 || rows % x.dim(0) != 0) {
    call.Refuse("factor", "one f32 for each token and head of " + Describe(x), Describe(factor));
  }
  const auto type = [](const Tensor& t) { return t.dtype == DType::kF32 ? WN_F32 : WN_BF16; };
  const WnElementwiseParams params{.x = x.data,
                                   .y = factor.data,
                                   .out = out.data,
                                   .count = x.size(),
                                   .row_len = x.size() / rows,
                                   .op = WN_ELEMENT_SCALE_ROWS,
                                   .x_type = type(x),
                                   .out_type = type(out)};
  Issue(call, wn_elementwise(&params, StreamOf(call)));
  return call.Nothing();
}

napi_value MixParts(Call& call) {
  const Tensor outs = call.TensorOf(0, "outs", DType::kF32, {-1, -1, -1, -1});
  const Tensor gates = call.AnyTensor(1, "gates");
  const Tensor out = call.TensorOf(2, "out", DType::kF32, {outs.dim(1), outs.dim(2), outs.dim(3)});
  const int64_t rows = outs.dim(1) * outs.dim(2);
  if (gates.dtype != DType::kF32 || gates.size() != rows * outs.dim(0) || gates.dim(gates.rank - 1) != outs.dim(0)) {
    call.Refuse("gates", "f32 [rows, T, Hq, " + std::to_string(outs.dim(0)) + "]", Describe(gates));
  }
  if (out.size() == 0) return call.Nothing();
  const WnElementwiseParams params{.x = outs.data,
                                   .y = gates.data,
                                   .out = out.data,
                                   .count = out.size(),
                                   .row_len = outs.dim(3),
                                   .parts = static_cast<int32_t>(outs.dim(0)),
                                   .op = WN_ELEMENT_MIX,
                                   .x_type = WN_F32,
                                   .out_type = WN_F32};
  Issue(call, wn_elementwise(&params, StreamOf(call)));
  return call.Nothing();
}

napi_value ChooseRows(Call& call) {
  const Tensor predicate = call.AnyTensor(0, "predicate"), yes = call.AnyTensor(1, "yes");
  const Tensor no = call.TensorOf(2, "no", yes.dtype, {-1, -1, -1});
  if (yes.rank != 3 || yes.dim(0) != no.dim(0) || yes.dim(1) != no.dim(1)) {
    call.Refuse("yes", "rows and lists of " + Describe(no), Describe(yes));
  }
  if (yes.dtype != DType::kF32 && yes.dtype != DType::kI32) call.Refuse("yes", "f32 or i32", Describe(yes));
  const bool fits = (predicate.dtype == DType::kF32 || predicate.dtype == DType::kI32) && predicate.size() == yes.dim(0);
  if (!fits) call.Refuse("predicate", "one f32 or i32 for each of " + std::to_string(yes.dim(0)) + " rows", Describe(predicate));
  Tensor out;
  const TensorId id = call.NewTensor(yes.dtype, {yes.dim(0), yes.dim(1), std::max(yes.dim(2), no.dim(2))}, &out);
  if (out.size() == 0) return call.Value(id);
  const WnListMovesParams params{.values = yes.data,
                                 .other = no.data,
                                 .index = predicate.as<int32_t>(),
                                 .out = out.data,
                                 .num_lists = yes.dim(0) * yes.dim(1),
                                 .width = static_cast<int32_t>(yes.dim(2)),
                                 .length = static_cast<int32_t>(out.dim(2)),
                                 .unit = static_cast<int32_t>(no.dim(2)),
                                 .op = WN_MOVE_CHOOSE,
                                 .is_integer = yes.dtype == DType::kI32,
                                 .is_predicate_integer = predicate.dtype == DType::kI32,
                                 .how = static_cast<int32_t>(yes.dim(1))};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return call.Value(id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"axpby", Axpby},
            {"reduceHeads", Reduce},
            {"addToRows", AddRows},
            {"scaleRows", ScaleRows},
            {"mixParts", MixParts},
            {"chooseRows", ChooseRows}});
});

}  // namespace

}  // namespace winnow::gpu
