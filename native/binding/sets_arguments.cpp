#include "sets_arguments.h"

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

const Tensor& FoundTensor(const Call& call, int32_t id, const char* where) {
  const Tensor* found = nullptr;
  call.Check(call.runtime.tensors.Get(static_cast<TensorId>(id), where, &found));
  return *found;
}

float FiniteOf(const Call& call, int i, const char* what, double least) {
  const double x = call.Number(i, what);
  if (!(x >= least && x <= 1e30)) call.Refuse(what, "a finite number", std::to_string(x));
  return static_cast<float>(x);
}

/// The eleven numbers of `how`: visible, parents or segments, oldOnly, queries, their lens, bias, biasByEntry, positions, clamp,
/// cosSin, keysRotated.
void ReadHow(const Call& call, const SetsShape& shape, SetsArguments* to) {
  const Span<const int32_t> how = call.Ints(9, "how");
  if (how.size != 11) call.Refuse("how", "eleven numbers", std::to_string(how.size));
  if (how[0] < 0 || how[0] > static_cast<int32_t>(Visible::kEvery)) call.Refuse("how", "visible from 0 to 4", std::to_string(how[0]));
  if (how[7] < 0 || how[7] > static_cast<int32_t>(PositionRule::kClamp)) {
    call.Refuse("how", "positions from 0 to 2", std::to_string(how[7]));
  }
  to->visible = static_cast<Visible>(how[0]);
  if (to->visible == Visible::kTree || to->visible == Visible::kSegments) {
    to->relation = IndexTensor(call, how[1], "how");
    if (to->visible == Visible::kTree && to->relation.size() != shape.rows * shape.query_len) {
      call.Refuse("how", "a parent for each of " + std::to_string(shape.rows * shape.query_len) + " tokens", Describe(to->relation));
    }
  }
  to->old_only = how[2] != 0;
  to->queries = how[3] == 0 ? Lists{} : ListsOf(call, how[3], how[4], shape.rows, "queries");
  if (how[5] != 0) {
    to->bias = FoundTensor(call, how[5], "attendSets.bias");
    const Tensor& bias = to->bias;
    const bool fits = bias.dtype == DType::kF32 && bias.rank == 3 && bias.dim(0) == shape.rows &&
                      (bias.dim(1) == 1 || bias.dim(1) == shape.num_kv_heads || bias.dim(1) == shape.num_query_heads);
    if (!fits) call.Refuse("bias", "f32 [rows, 1, numKvHeads or numQueryHeads, slots or entries]", Describe(bias));
  }
  to->bias_by_entry = how[5] != 0 && how[6] != 0;
  to->positions = static_cast<PositionRule>(how[7]);
  to->clamp = how[8];
  if (how[9] != 0) {
    to->cos_sin = FoundTensor(call, how[9], "attendSets.cosSin");
    const bool fits = to->cos_sin.dtype == DType::kF32 && to->cos_sin.rank == 2;
    if (!fits) call.Refuse("cosSin", "f32 [positions, ropeDims]", Describe(to->cos_sin));
  }
  to->keys_rotated = how[10] != 0;
}

}  // namespace

SetsArguments SetsArgumentsOf(const Call& call, const SetsShape& shape) {
  SetsArguments to{};
  to.softmax_scale = FiniteOf(call, 4, "softmaxScale", -1e30);
  to.soft_cap = FiniteOf(call, 5, "softCap", 0);
  to.sliding_window = static_cast<int32_t>(call.Int(6, "slidingWindow", 0, INT32_MAX));
  to.sets = SetsOf(call, 7, shape.rows);
  to.heads = call.Ints(8, "heads");
  ReadHow(call, shape, &to);
  const int64_t tokens = shape.rows * shape.query_len;
  to.out_f32 = call.AnyTensor(10, "out").dtype == DType::kF32;
  to.out = call.TensorOf(10, "out", to.out_f32 ? DType::kF32 : call.runtime.context.act(),
                         {tokens, int64_t{shape.num_query_heads} * shape.head_dim_v});
  to.lse = call.OptionalTensor(11, "lse", DType::kF32, {tokens, shape.num_query_heads});
  to.counts = call.OptionalTensor(12, "counts", DType::kI32, {shape.rows, shape.num_kv_heads});
  to.seen = call.OptionalTensor(13, "seen", DType::kU8, {shape.rows, shape.num_kv_heads, -1});
  return to;
}

}  // namespace winnow
