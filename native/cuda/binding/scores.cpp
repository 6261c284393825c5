#include <cmath>

#include "caches.h"
#include "lists.h"

/// Scores that read the cache.
namespace winnow::gpu {

namespace {

napi_value Window(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const Tensor q = call.TensorOf(0, "q", call.runtime.context.act(), {list.rows(), -1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(2), list.geometry());
  const double scale = call.Number(3, "softmaxScale"), cap = call.Number(4, "softCap");
  if (!(scale >= -1e30 && scale <= 1e30)) call.Refuse("softmaxScale", "a finite number", std::to_string(scale));
  if (!(cap >= 0 && cap <= 1e30)) call.Refuse("softCap", "a finite number of at least 0", std::to_string(cap));
  WnWindowScoresParams params{.q = q.data,
                              .window = static_cast<int32_t>(std::min<int64_t>(q.dim(1), INT32_MAX)),
                              .num_query_heads = heads,
                              .max_len = list.MaxLen(),
                              .reduce = static_cast<int32_t>(call.Int(6, "reduce", 0, 3)),
                              .pool = static_cast<int32_t>(call.Int(7, "poolKind", 0, 2)),
                              .pool_width = static_cast<int32_t>(call.Int(8, "poolSize", 0, 1 << 20)),
                              .gqa = static_cast<int32_t>(call.Int(9, "gqa", 0, 4)),
                              .sliding_window = static_cast<int32_t>(call.Int(5, "slidingWindow", 0, INT32_MAX)),
                              .softmax_scale = static_cast<float>(scale),
                              .soft_cap = static_cast<float>(cap)};
  if (params.pool != WN_POOL_NONE && params.pool_width % 2 == 0) {
    call.Refuse("poolSize", "an odd number of slots", std::to_string(params.pool_width));
  }
  for (int32_t row = 0; row < list.rows(); row++) {
    for (int32_t head = 0; head < list.geometry().num_kv_heads; head++) {
      const int32_t len = list.caches[static_cast<size_t>(row)]->head(list.layer, head).len;
      if (params.window >= 1 && len >= params.window) continue;
      call.Refuse("q",
                  "a window of 1 to " + std::to_string(len) + " queries (row " + std::to_string(row) + ", KV head " +
                      std::to_string(head) + ")",
                  std::to_string(params.window));
    }
  }
  Tensor out;
  const TensorId id = call.NewTensor(
      DType::kF32, {list.rows(), ListsAfter(params.gqa, heads, list.geometry().num_kv_heads), params.max_len}, &out);
  params.scores = out.as<float>();
  params.cache = ViewOf(call, list);
  params.workspace_bytes = wn_window_scores_workspace_bytes(&params);
  if (params.workspace_bytes > 0) params.workspace = WorkspaceOf(call, static_cast<size_t>(params.workspace_bytes));
  Issue(call, wn_window_scores(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Norms(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const auto what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), list.geometry().num_kv_heads, list.MaxLen()}, &out);
  const WnSlotNormsParams params{.cache = ViewOf(call, list), .norms = out.as<float>(), .max_len = list.MaxLen(), .what = what};
  Issue(call, wn_slot_norms(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Summary(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const int64_t page_size = call.Int(2, "pageSize", 1, 1 << 24);
  Tensor out;
  TensorId id = call.Id(4, "out");
  if (id != 0) {
    out = call.TensorOf(4, "out", DType::kF32, {list.rows(), shape.num_kv_heads, -1, 2, shape.head_dim});
  } else {
    const int64_t pages = (list.MaxLen() + page_size - 1) / page_size;
    id = call.NewTensor(DType::kF32, {list.rows(), shape.num_kv_heads, pages, 2, shape.head_dim}, &out);
  }
  const int64_t from_page = call.Int(3, "fromPage", 0, INT32_MAX);
  const WnBlockSummaryParams params{.cache = ViewOf(call, list, 0, from_page * page_size / kPageSlots),
                                    .summary = out.as<float>(),
                                    .block_len = static_cast<int32_t>(page_size),
                                    .from_block = static_cast<int32_t>(from_page),
                                    .num_blocks = static_cast<int32_t>(out.dim(2))};
  Issue(call, wn_block_summary(&params, StreamOf(call)));
  // Row by row, as a row may be summed up anew alone.
  Tensor row = out;
  row.dims[0] = 1;
  for (const Cache* cache : list.caches) {
    Fact held;
    for (int32_t head = 0; head < shape.num_kv_heads; head++) {
      held.first.push_back(static_cast<int32_t>((cache->head(list.layer, head).len + page_size - 1) / page_size));
    }
    EngineOf(call).known.Remember(row, Known::kFinite, std::move(held));
    row.data += row.bytes();
  }
  return call.Value(id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"windowScores", Window}, {"slotNorms", Norms}, {"blockSummary", Summary}});
});

}  // namespace

}  // namespace winnow::gpu
