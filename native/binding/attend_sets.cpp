#include "../kernels/attend_sets.h"


#include "caches.h"

namespace winnow {
namespace {

/// Numbers of one set in `sets`: kind, values, lens, withNew, pageSize, queryBlock, sink, recent, diagonals, diagonalLens.
constexpr int64_t kSetNumbers = 10;

Tensor IndexTensor(const Call& call, int64_t id, const char* what) {
  const Tensor* found = nullptr;
  call.Check(call.runtime.tensors.Get(static_cast<TensorId>(id), (std::string("attendSets.") + what).c_str(), &found));
  if (found->dtype != DType::kI32) call.Refuse(what, "an i32 tensor", Describe(*found));
  return *found;
}

/// values [rows, L, (B,) maxLen] with lens [rows, L, (B)].
Lists ListsOf(const Call& call, int64_t values_id, int64_t lens_id, int64_t rows, const char* what) {
  const Tensor values = IndexTensor(call, values_id, what);
  const Tensor lens = IndexTensor(call, lens_id, what);
  bool fits = (values.rank == 3 || values.rank == 4) && lens.rank == values.rank - 1 && values.dim(0) == rows;
  for (int axis = 0; fits && axis < lens.rank; axis++) fits = values.dim(axis) == lens.dim(axis);
  if (!fits) {
    call.Refuse(what, "values [" + std::to_string(rows) + ", lists, (blocks,) maxLen] and lens without the last axis",
                Describe(values) + " and " + Describe(lens));
  }
  return {.values = values.as<int32_t>(),
          .lens = lens.as<int32_t>(),
          .per_row = static_cast<int32_t>(values.dim(1)),
          .blocks = static_cast<int32_t>(values.rank == 4 ? values.dim(2) : 1),
          .max_len = static_cast<int32_t>(values.dim(values.rank - 1))};
}

std::vector<KeySet> SetsOf(const Call& call, int i, int64_t rows) {
  const Span<const int32_t> numbers = call.Ints(i, "sets");
  if (numbers.size % kSetNumbers != 0) call.Refuse("sets", "ten numbers a set", std::to_string(numbers.size));
  std::vector<KeySet> sets;
  for (int64_t at = 0; at < numbers.size; at += kSetNumbers) {
    const int32_t* set = numbers.data + at;
    if (set[0] < 0 || set[0] > static_cast<int32_t>(SetKind::kVerticalSlash)) {
      call.Refuse("sets", "a kind from 0 to 4", std::to_string(set[0]));
    }
    KeySet made;
    made.kind = static_cast<SetKind>(set[0]);
    made.with_new = set[3] != 0;
    made.page_size = set[4];
    made.query_block = set[5];
    made.sink = set[6];
    made.recent = set[7];
    if (made.kind >= SetKind::kSlots) made.lists = ListsOf(call, set[1], set[2], rows, "sets");
    if (made.kind == SetKind::kVerticalSlash) made.diagonals = ListsOf(call, set[8], set[9], rows, "sets");
    sets.push_back(made);
  }
  return sets;
}

napi_value AttendSetsCall(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const DType act = call.runtime.context.act();
  const int64_t rows = list.rows();
  const int64_t query_len = call.Int(3, "queryLen", 1, 1 << 24);
  const Tensor q = call.TensorOf(0, "q", act, {rows * query_len, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const std::vector<KeySet> sets = SetsOf(call, 7, rows);
  const Span<const int32_t> active = call.Ints(8, "heads");
  const auto number = [&](int i, const char* what, double least) {
    const double x = call.Number(i, what);
    if (!(x >= least && x <= 1e30)) call.Refuse(what, "a finite number", std::to_string(x));
    return static_cast<float>(x);
  };
  // visible, parents or segments, oldOnly, queries, queryLens, bias, biasByEntry, positions, clamp, cosSin, keysRotated
  const Span<const int32_t> how = call.Ints(9, "how");
  if (how.size != 11) call.Refuse("how", "eleven numbers", std::to_string(how.size));
  if (how[0] < 0 || how[0] > static_cast<int32_t>(Visible::kEvery)) call.Refuse("how", "visible from 0 to 4", std::to_string(how[0]));
  if (how[7] < 0 || how[7] > static_cast<int32_t>(PositionRule::kClamp)) {
    call.Refuse("how", "positions from 0 to 2", std::to_string(how[7]));
  }
  const auto visible = static_cast<Visible>(how[0]);
  Tensor relation;
  if (visible == Visible::kTree || visible == Visible::kSegments) {
    relation = IndexTensor(call, how[1], "how");
    if (visible == Visible::kTree && relation.size() != rows * query_len) {
      call.Refuse("how", "a parent for each of " + std::to_string(rows * query_len) + " tokens", Describe(relation));
    }
  }
  Tensor bias;
  if (how[5] != 0) {
    const Tensor* found = nullptr;
    call.Check(call.runtime.tensors.Get(static_cast<TensorId>(how[5]), "attendSets.bias", &found));
    bias = *found;
    const bool fits = bias.dtype == DType::kF32 && bias.rank == 3 && bias.dim(0) == rows &&
                      (bias.dim(1) == 1 || bias.dim(1) == shape.num_kv_heads || bias.dim(1) == heads);
    if (!fits) call.Refuse("bias", "f32 [rows, 1, numKvHeads or numQueryHeads, slots or entries]", Describe(bias));
  }
  Tensor cos_sin;
  if (how[9] != 0) {
    const Tensor* found = nullptr;
    call.Check(call.runtime.tensors.Get(static_cast<TensorId>(how[9]), "attendSets.cosSin", &found));
    cos_sin = *found;
    if (cos_sin.dtype != DType::kF32 || cos_sin.rank != 2) call.Refuse("cosSin", "f32 [positions, ropeDims]", Describe(cos_sin));
  }
  const bool out_f32 = call.AnyTensor(10, "out").dtype == DType::kF32;
  const Tensor out = call.TensorOf(10, "out", out_f32 ? DType::kF32 : act, {rows * query_len, int64_t{heads} * shape.head_dim_v});
  const Tensor lse = call.OptionalTensor(11, "lse", DType::kF32, {rows * query_len, heads});
  const Tensor counts = call.OptionalTensor(12, "counts", DType::kI32, {rows, shape.num_kv_heads});
  const Tensor seen = call.OptionalTensor(13, "seen", DType::kU8, {rows, shape.num_kv_heads, -1});
  std::vector<int64_t> counted(counts.data == nullptr ? 0 : static_cast<size_t>(counts.size()));
  int64_t pairs = 0;
  call.Check(AttendSets(call.runtime.context,
                        {.caches = list.data(),
                         .rows = list.rows(),
                         .layer = list.layer,
                         .num_query_heads = heads,
                         .query_len = static_cast<int32_t>(query_len),
                         .q = q.data,
                         .softmax_scale = number(4, "softmaxScale", -1e30),
                         .soft_cap = number(5, "softCap", 0),
                         .sliding_window = static_cast<int32_t>(call.Int(6, "slidingWindow", 0, INT32_MAX)),
                         .sets = sets.data(),
                         .num_sets = static_cast<int32_t>(sets.size()),
                         .heads = active.size == 0 ? nullptr : active.data,
                         .num_heads = static_cast<int32_t>(active.size),
                         .queries = how[3] == 0 ? Lists{} : ListsOf(call, how[3], how[4], rows, "queries"),
                         .visible = visible,
                         .parents = visible == Visible::kTree ? relation.as<int32_t>() : nullptr,
                         .segments = visible == Visible::kSegments ? relation.as<int32_t>() : nullptr,
                         .num_segments = static_cast<int32_t>(visible == Visible::kSegments ? relation.size() : 0),
                         .old_only = how[2] != 0,
                         .bias = bias.as<float>(),
                         .bias_heads = static_cast<int32_t>(bias.data == nullptr ? 0 : bias.dim(1)),
                         .bias_width = bias.data == nullptr ? 0 : bias.dim(2),
                         .bias_by_entry = bias.data != nullptr && how[6] != 0,
                         .positions = static_cast<PositionRule>(how[7]),
                         .clamp = how[8],
                         .cos_sin = cos_sin.as<float>(),
                         .rope_dims = static_cast<int32_t>(cos_sin.data == nullptr ? 0 : cos_sin.dim(1)),
                         .max_positions = cos_sin.data == nullptr ? 0 : cos_sin.dim(0),
                         .keys_rotated = how[10] != 0,
                         .out = out.data,
                         .out_f32 = out_f32,
                         .lse = lse.as<float>(),
                         .counts = counted.empty() ? nullptr : counted.data(),
                         .seen = seen.as<uint8_t>(),
                         .seen_width = seen.data == nullptr ? 0 : seen.dim(2)},
                        &pairs));
  for (size_t i = 0; i < counted.size(); i++) counts.as<int32_t>()[i] = static_cast<int32_t>(counted[i]);
  return call.Value(static_cast<double>(pairs));
}

}  // namespace

void RegisterAttendSets(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"attendSets", AttendSetsCall}});
}

}  // namespace winnow
