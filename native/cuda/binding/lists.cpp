#include "lists.h"

/// Ops on lists of scores and slots. Indices outside a list cannot be refused without a host read: they read as missing.
namespace winnow::gpu {

napi_value Tightened(Call& call, const Tensor& wide, const Tensor& lens, TensorId lens_id) {
  std::vector<int32_t> lengths(static_cast<size_t>(lens.size()));
  call.Check(DeviceOf(call).CopyDown(lengths.data(), lens.data, lens.bytes()));
  return Tightened(call, wide, lens, lens_id, lengths);
}

napi_value Tightened(Call& call, const Tensor& wide, const Tensor& lens, TensorId lens_id, const std::vector<int32_t>& lengths) {
  int64_t longest = 1;
  for (const int32_t length : lengths) longest = std::max<int64_t>(longest, length);
  Tensor out;
  const TensorId id = call.NewTensor(DType::kI32, {wide.dim(0), wide.dim(1), longest}, &out);
  const WnListMovesParams params{.values = wide.data,
                                 .lens = lens.as<int32_t>(),
                                 .out = out.data,
                                 .num_lists = lens.size(),
                                 .width = static_cast<int32_t>(wide.dim(2)),
                                 .length = static_cast<int32_t>(longest),
                                 .op = WN_MOVE_READ,
                                 .is_integer = 1};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return PairOf(call, id, lens_id);
}

namespace {

napi_value Values(Call& call, int32_t op) {
  const Tensor x = call.AnyTensor(0, "x");
  if (x.dtype != DType::kF32 || x.rank < 2) call.Refuse("x", "f32 lists along the last axis", Describe(x));
  const int64_t length = x.dim(x.rank - 1);
  Tensor out;
  const TensorId id = MakeLike(call, op == WN_LIST_ARGMAX ? DType::kI32 : DType::kF32, x, op == WN_LIST_SOFTMAX ? 0 : 1, &out);
  const WnListValuesParams params{.x = x.as<float>(),
                                  .out = out.data,
                                  .num_lists = length == 0 ? 0 : x.size() / length,
                                  .length = static_cast<int32_t>(length),
                                  .op = op};
  Issue(call, wn_list_values(&params, StreamOf(call)));
  return call.Value(id);
}
napi_value Softmax(Call& call) { return Values(call, WN_LIST_SOFTMAX); }
napi_value Entropy(Call& call) { return Values(call, WN_LIST_ENTROPY); }
napi_value Largest(Call& call) { return Values(call, WN_LIST_ARGMAX); }

napi_value Take(Call& call) {
  const Tensor values = call.AnyTensor(0, "values");
  if ((values.dtype != DType::kF32 && values.dtype != DType::kI32) || values.rank != 3) {
    call.Refuse("values", "f32 or i32 of rank 3", Describe(values));
  }
  const Tensor index = call.TensorOf(1, "index", DType::kI32, {values.dim(0), values.dim(1), -1});
  Tensor out;
  const TensorId id = MakeLike(call, values.dtype, index, 0, &out);
  const WnListMovesParams params{.values = values.data,
                                 .index = index.as<int32_t>(),
                                 .out = out.data,
                                 .num_lists = values.dim(0) * values.dim(1),
                                 .width = static_cast<int32_t>(values.dim(2)),
                                 .length = static_cast<int32_t>(index.dim(2)),
                                 .op = WN_MOVE_TAKE,
                                 .is_integer = values.dtype == DType::kI32};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Complement(Call& call) {
  const Tensor values = call.TensorOf(0, "values", DType::kI32, {-1, -1, -1});
  const Tensor named = call.TensorOf(1, "lens", DType::kI32, {values.dim(0), values.dim(1)});
  const Span<const int32_t> wholes = call.Ints(2, "wholes");
  if (wholes.size != named.size()) call.Refuse("wholes", std::to_string(named.size()) + " lengths", std::to_string(wholes.size));
  int32_t longest = 1;
  for (int64_t list = 0; list < wholes.size; list++) {
    if (wholes[list] < 0 || wholes[list] > (1 << 24)) call.Refuse("wholes", "0 to 16777216 slots", std::to_string(wholes[list]));
    longest = std::max(longest, wholes[list]);
  }
  Tensor wide, lens;
  (void)call.NewTensor(DType::kI32, {values.dim(0), values.dim(1), longest}, &wide);
  const TensorId lens_id = call.NewTensor(DType::kI32, {values.dim(0), values.dim(1)}, &lens);
  const WnListMovesParams params{.index = values.as<int32_t>(),
                                 .lens = StageFor(call, wholes.data, static_cast<size_t>(wholes.size)),
                                 .index_lens = named.as<int32_t>(),
                                 .out = wide.data,
                                 .out_lens = lens.as<int32_t>(),
                                 .num_lists = wholes.size,
                                 .width = longest,
                                 .length = static_cast<int32_t>(values.dim(2)),
                                 .op = WN_MOVE_COMPLEMENT,
                                 .is_integer = 1};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return Tightened(call, wide, lens, lens_id);
}

napi_value Mask(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const Tensor values = call.TensorOf(1, "values", DType::kI32, {scores.dim(0), scores.dim(1), -1});
  const Tensor lens = call.TensorOf(2, "lens", DType::kI32, {scores.dim(0), scores.dim(1)});
  Tensor out;
  const TensorId id = MakeLike(call, DType::kF32, scores, 0, &out);
  const WnListMovesParams params{.values = scores.data,
                                 .index = values.as<int32_t>(),
                                 .lens = lens.as<int32_t>(),
                                 .out = out.data,
                                 .num_lists = lens.size(),
                                 .width = static_cast<int32_t>(scores.dim(2)),
                                 .length = static_cast<int32_t>(values.dim(2)),
                                 .op = WN_MOVE_MASK};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Entries(Call& call) {
  const Tensor plane = call.AnyTensor(0, "plane");
  if ((plane.dtype != DType::kF32 && plane.dtype != DType::kI32) || plane.rank != 4 || plane.dim(3) != 1) {
    call.Refuse("plane", "f32 or i32 [rows, heads, capacity, 1]", Describe(plane));
  }
  const Span<const int32_t> used = call.Ints(1, "used");
  if (used.size != plane.dim(0) * plane.dim(1)) {
    call.Refuse("used", std::to_string(plane.dim(0) * plane.dim(1)) + " lengths", std::to_string(used.size));
  }
  int32_t longest = 0;
  for (int64_t list = 0; list < used.size; list++) {
    if (used[list] < 0 || used[list] > plane.dim(2)) call.Refuse("used", "0 to " + std::to_string(plane.dim(2)), std::to_string(used[list]));
    longest = std::max(longest, used[list]);
  }
  Tensor out;
  const TensorId id = call.NewTensor(plane.dtype, {plane.dim(0), plane.dim(1), longest}, &out);
  const WnListMovesParams params{.values = plane.data,
                                 .lens = StageFor(call, used.data, static_cast<size_t>(used.size)),
                                 .out = out.data,
                                 .num_lists = used.size,
                                 .width = static_cast<int32_t>(plane.dim(2)),
                                 .length = longest,
                                 .op = WN_MOVE_READ,
                                 .is_integer = plane.dtype == DType::kI32};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value WriteEntries(Call& call) {
  const Tensor source = call.AnyTensor(0, "source"), plane = call.AnyTensor(1, "plane");
  const Span<const int32_t> ends = call.Ints(2, "ends");
  if (source.rank != 4 || plane.rank != 4 || source.dtype != plane.dtype || source.dim(0) != plane.dim(0) ||
      source.dim(1) != plane.dim(1) || source.dim(3) != plane.dim(3)) {
    call.Refuse("source", "rows, heads, width and dtype of " + Describe(plane), Describe(source));
  }
  const int64_t width_bytes = source.dim(3) * static_cast<int64_t>(SizeOf(source.dtype));
  if (width_bytes % 4 != 0) call.Refuse("source", "entries of whole 32-bit words", Describe(source));
  if (ends.size != source.dim(0) * source.dim(1)) {
    call.Refuse("ends", std::to_string(source.dim(0) * source.dim(1)) + " lengths", std::to_string(ends.size));
  }
  for (int64_t list = 0; list < ends.size; list++) {
    if (ends[list] < source.dim(2) || ends[list] > plane.dim(2)) {
      call.Refuse("ends", std::to_string(source.dim(2)) + " to " + std::to_string(plane.dim(2)), std::to_string(ends[list]));
    }
  }
  EngineOf(call).known.Forget(plane);
  const WnListMovesParams params{.values = source.data,
                                 .lens = StageFor(call, ends.data, static_cast<size_t>(ends.size)),
                                 .out = plane.data,
                                 .num_lists = ends.size,
                                 .width = static_cast<int32_t>(plane.dim(2)),
                                 .length = static_cast<int32_t>(source.dim(2)),
                                 .unit = static_cast<int32_t>(width_bytes / 4),
                                 .op = WN_MOVE_WRITE};
  Issue(call, wn_list_moves(&params, StreamOf(call)));
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"softmaxLists", Softmax},
            {"entropyLists", Entropy},
            {"argmaxLists", Largest},
            {"takeLists", Take},
            {"complementLists", Complement},
            {"maskLists", Mask},
            {"readEntries", Entries},
            {"writeEntries", WriteEntries}});
});

}  // namespace

}  // namespace winnow::gpu
