#include "../../binding/arguments.h"
#include "caches.h"
#include "lists.h"

/// Scores that need no cache, and the choice of the best.
namespace winnow::gpu {

namespace {

/// A block with members has a finite score, one without has -inf; which are which is known of each row's summary.
void RememberBlocks(Call& call, const Tensor& summary, const WnBlockScoresParams& params, const Tensor& out) {
  Tensor row = summary;
  row.dims[0] = 1;
  const int64_t lists = out.dim(1), together = params.num_query_heads / lists, group = params.num_query_heads / params.num_kv_heads;
  Fact finite;
  for (int32_t r = 0; r < params.rows; r++, row.data += row.bytes()) {
    const Fact* held = EngineOf(call).known.Find(row, Known::kFinite);
    if (held == nullptr) return;
    for (int64_t list = 0; list < lists; list++) {
      const int64_t head = list * together / group;
      const auto begin = held->first.begin() + head, end = held->first.begin() + (lists == 1 ? params.num_kv_heads : head + 1);
      if (*std::min_element(begin, end) != *std::max_element(begin, end)) return;
      finite.first.push_back(*begin);
    }
  }
  EngineOf(call).known.Remember(out, Known::kFinite, std::move(finite));
}

napi_value Blocks(Call& call) {
  const Tensor summary = call.TensorOf(1, "summary", DType::kF32, {-1, -1, -1, 2, -1});
  const int64_t rows = summary.dim(0), kv_heads = summary.dim(1), head_dim = summary.dim(4);
  const int64_t heads = call.Int(2, "numQueryHeads", 1, 1 << 20);
  if (head_dim < 1 || head_dim > 256 || kv_heads < 1) call.Refuse("summary", "1 to 256 channels a head", Describe(summary));
  if (heads % kv_heads != 0) call.Refuse("numQueryHeads", "a multiple of " + std::to_string(kv_heads), std::to_string(heads));
  const Tensor q = call.FloatTensor(0, "q", {-1, heads * head_dim});
  if (rows == 0 || q.dim(0) % rows != 0 || q.dim(0) == 0) {
    call.Refuse("q", "a multiple of " + std::to_string(rows) + " rows", std::to_string(q.dim(0)));
  }
  const int64_t gqa = call.Int(3, "gqa", 0, 4);
  Tensor out;
  const TensorId id = NewResult(call, DType::kF32, {rows, ListsAfter(gqa, heads, kv_heads), summary.dim(2)}, &out);
  const WnBlockScoresParams params{.q = q.data,
                                   .summary = summary.as<float>(),
                                   .scores = out.as<float>(),
                                   .rows = static_cast<int32_t>(rows),
                                   .query_len = static_cast<int32_t>(q.dim(0) / rows),
                                   .num_query_heads = static_cast<int32_t>(heads),
                                   .num_kv_heads = static_cast<int32_t>(kv_heads),
                                   .head_dim = static_cast<int32_t>(head_dim),
                                   .num_blocks = static_cast<int32_t>(summary.dim(2)),
                                   .q_type = q.dtype == DType::kF32 ? WN_F32 : WN_BF16,
                                   .gqa = static_cast<int32_t>(gqa)};
  Issue(call, wn_block_scores(&params, StreamOf(call)));
  RememberBlocks(call, summary, params, out);
  return call.Value(id);
}

napi_value Random(Call& call) {
  const int64_t rows = call.Int(0, "rows", 0, 1 << 20), heads = call.Int(1, "numKvHeads", 0, 1 << 20);
  const int64_t length = call.Int(2, "length", 0, 1 << 22);
  const int64_t seed = call.Int(3, "seed", 0, int64_t{1} << 53), layer = call.Int(4, "layer", 0, 1 << 20);
  if (heads * length > 0 && rows > (int64_t{1} << 28) / (heads * length)) {
    call.Refuse("rows", "at most 268435456 scores in all", std::to_string(rows));
  }
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {rows, heads, length}, &out);
  const WnRandomScoresParams params{.scores = out.as<float>(),
                                    .seed = static_cast<uint64_t>(seed),
                                    .layer = static_cast<uint64_t>(layer),
                                    .rows = static_cast<int32_t>(rows),
                                    .num_kv_heads = static_cast<int32_t>(heads),
                                    .length = static_cast<int32_t>(length)};
  Issue(call, wn_random_scores(&params, StreamOf(call)));
  return call.Value(id);
}

/// Where the finite entries of each list end, and budgets are known, the lists' lengths follow; and the last of them, where the end is protected.
void RememberLists(Call& call, const Tensor& scores, const std::vector<int32_t>& counts, int64_t first, int64_t last, const Tensor& wide,
                   const Tensor& lens) {
  const Fact* finite = EngineOf(call).known.Find(scores, Known::kFinite);
  if (finite == nullptr) return;
  Fact listed;
  for (size_t list = 0; list < counts.size(); list++) {
    const int32_t end = finite->first[list], len = std::min(counts[list], end);
    listed.first.push_back(len);
    listed.last.push_back(last > 0 && len > std::min<int64_t>(first, end) ? end - 1 : len == end ? end - 1 : -1);
  }
  EngineOf(call).known.Remember(lens, Known::kValues, {.first = listed.first});
  EngineOf(call).known.Remember(wide, Known::kListed, std::move(listed));
}

/// Pairs of (entries, last entry) by list, or nothing where the device would have to be asked.
napi_value ListEnds(Call& call) {
  const Tensor values = call.TensorOf(0, "values", DType::kI32, {-1, -1, -1});
  const Fact* listed = EngineOf(call).known.Find(values, Known::kListed);
  if (listed == nullptr) return call.Nothing();
  void* data = nullptr;
  napi_value buffer, array;
  const size_t count = 2 * listed->first.size();
  if (napi_create_arraybuffer(call.env, count * 4, &data, &buffer) != napi_ok) throw std::bad_alloc();
  napi_create_typedarray(call.env, napi_int32_array, count, buffer, 0, &array);
  for (size_t list = 0; list < listed->first.size(); list++) {
    static_cast<int32_t*>(data)[2 * list] = listed->first[list];
    static_cast<int32_t*>(data)[2 * list + 1] = listed->last[list];
  }
  return array;
}

napi_value Top(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const int64_t flatten = call.Int(4, "flatten", 0, 2), rows = scores.dim(0), lists = scores.dim(1), length = scores.dim(2);
  const int64_t num_budgets = flatten == 0 ? rows * lists : flatten == 1 ? rows : 1;
  Tensor counts;
  std::vector<int32_t> budgets;
  if (IsArray(call, 1)) {
    const Span<const int32_t> given = call.Ints(1, "counts");
    if (given.size != num_budgets) call.Refuse("counts", std::to_string(num_budgets) + " numbers", std::to_string(given.size));
    budgets.assign(given.data, given.data + given.size);
  } else {
    counts = flatten == 0   ? call.TensorOf(1, "counts", DType::kI32, {rows, lists})
             : flatten == 1 ? call.TensorOf(1, "counts", DType::kI32, {rows})
                            : call.TensorOf(1, "counts", DType::kI32, {1});
    budgets = ReadInts(call, counts);
  }
  int64_t most = 1;
  for (const int32_t count : budgets)
    if (count < 0) call.Refuse("counts", "0 or more entries", std::to_string(count));
  for (const int32_t count : budgets) most = std::max<int64_t>(most, count);
  Tensor wide, lens;
  const TensorId wide_id = NewResult(call, DType::kI32, {rows, lists, std::max<int64_t>(1, std::min(most, length))}, &wide);
  const TensorId lens_id = NewResult(call, DType::kI32, {rows, lists}, &lens);
  if (rows * lists == 0) return PairOf(call, wide_id, lens_id);
  WnTopKParams params{.scores = scores.as<float>(),
                      .counts = counts.as<int32_t>(),
                      .indices = wide.as<int32_t>(),
                      .lens = lens.as<int32_t>(),
                      .num_lists = static_cast<int32_t>(rows * lists),
                      .length = static_cast<int32_t>(length),
                      .lists_per_budget = static_cast<int32_t>(flatten == 0 ? 1 : flatten == 1 ? lists : rows * lists),
                      .indices_stride = static_cast<int32_t>(wide.dim(2)),
                      .protect_first = static_cast<int32_t>(call.Int(2, "protectFirst", 0, INT32_MAX)),
                      .protect_last = static_cast<int32_t>(call.Int(3, "protectLast", 0, INT32_MAX))};
  if (params.counts == nullptr && num_budgets <= WN_TOP_K_FEW) std::copy(budgets.begin(), budgets.end(), params.few_counts);
  else if (params.counts == nullptr) params.counts = StageFor(call, budgets.data(), budgets.size());
  params.workspace_bytes = wn_top_k_workspace_bytes(&params);
  if (params.workspace_bytes > 0) params.workspace = WorkspaceOf(call, static_cast<size_t>(params.workspace_bytes));
  Issue(call, wn_top_k(&params, StreamOf(call)));
  if (flatten == 0) RememberLists(call, scores, budgets, params.protect_first, params.protect_last, wide, lens);
  // One budget over many lists says little of the longest of them.
  return flatten == 0 ? PairOf(call, wide_id, lens_id) : Tightened(call, wide, lens, lens_id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"blockScores", Blocks}, {"randomScores", Random}, {"topK", Top}, {"listEnds", ListEnds}});
});

}  // namespace

}  // namespace winnow::gpu
