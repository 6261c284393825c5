#include "lists.h"

/// Scores that need no cache, and the choice of the best.
namespace winnow::gpu {

namespace {

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
  const TensorId id = call.NewTensor(DType::kF32, {rows, ListsAfter(gqa, heads, kv_heads), summary.dim(2)}, &out);
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

/// Counts on the host: what was uploaded last, or else by a host read.
std::vector<int32_t> CountsOf(Call& call, const Tensor& counts) {
  const UploadedCounts& last = EngineOf(call).last_counts;
  std::vector<int32_t> values = last.values;
  if (last.tensor != call.Id(1, "counts")) {
    values.resize(static_cast<size_t>(counts.size()));
    if (!values.empty()) call.Check(DeviceOf(call).CopyDown(values.data(), counts.data, counts.bytes()));
  }
  for (const int32_t count : values)
    if (count < 0) call.Refuse("counts", "0 or more entries", std::to_string(count));
  return values;
}

napi_value Top(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const int64_t flatten = call.Int(4, "flatten", 0, 2), rows = scores.dim(0), lists = scores.dim(1), length = scores.dim(2);
  const Tensor counts = flatten == 0   ? call.TensorOf(1, "counts", DType::kI32, {rows, lists})
                        : flatten == 1 ? call.TensorOf(1, "counts", DType::kI32, {rows})
                                       : call.TensorOf(1, "counts", DType::kI32, {1});
  int64_t most = 1;
  for (const int32_t count : CountsOf(call, counts)) most = std::max<int64_t>(most, count);
  Tensor wide, lens;
  const TensorId wide_id = call.NewTensor(DType::kI32, {rows, lists, std::max<int64_t>(1, std::min(most, length))}, &wide);
  const TensorId lens_id = call.NewTensor(DType::kI32, {rows, lists}, &lens);
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
  params.workspace_bytes = wn_top_k_workspace_bytes(&params);
  if (params.workspace_bytes > 0) params.workspace = WorkspaceOf(call, static_cast<size_t>(params.workspace_bytes));
  Issue(call, wn_top_k(&params, StreamOf(call)));
  // One budget over many lists says little of the longest of them.
  return flatten == 0 ? PairOf(call, wide_id, lens_id) : Tightened(call, wide, lens, lens_id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"blockScores", Blocks}, {"randomScores", Random}, {"topK", Top}});
});

}  // namespace

}  // namespace winnow::gpu
