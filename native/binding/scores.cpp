#include <algorithm>

#include "../kernels/block_scores.h"
#include "../kernels/block_summary.h"
#include "../kernels/random_scores.h"
#include "../kernels/slot_norms.h"
#include "../kernels/top_k.h"
#include "../kernels/window_scores.h"
#include "arguments.h"
#include "caches.h"
#include "list_pair.h"

namespace winnow {

namespace {

napi_value Window(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const Tensor q = call.TensorOf(0, "q", call.runtime.context.act(), {list.rows(), -1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(2), shape);
  const auto gqa = static_cast<GqaReduce>(call.Int(9, "gqa", 0, 4));
  const double scale = call.Number(3, "softmaxScale");
  if (!(scale >= -1e30 && scale <= 1e30)) call.Refuse("softmaxScale", "a finite number", std::to_string(scale));
  const double cap = call.Number(4, "softCap");
  if (!(cap >= 0 && cap <= 1e30)) call.Refuse("softCap", "a finite number of at least 0", std::to_string(cap));
  const int64_t max_len = list.MaxLen();
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), ListsAfter(gqa, heads, shape.num_kv_heads), max_len}, &out);
  call.Check(WindowScores(call.runtime.context,
                          {.q = q.data,
                           .caches = list.data(),
                           .rows = list.rows(),
                           .layer = list.layer,
                           .num_query_heads = heads,
                           .window = static_cast<int32_t>(std::min<int64_t>(q.dim(1), INT32_MAX)),
                           .softmax_scale = static_cast<float>(scale),
                           .soft_cap = static_cast<float>(cap),
                           .sliding_window = static_cast<int32_t>(call.Int(5, "slidingWindow", 0, INT32_MAX)),
                           .reduce = static_cast<WindowReduce>(call.Int(6, "reduce", 0, 3)),
                           .pool_kind = static_cast<PoolKind>(call.Int(7, "poolKind", 0, 2)),
                           .pool_size = static_cast<int32_t>(call.Int(8, "poolSize", 0, 1 << 20)),
                           .gqa = gqa,
                           .max_len = max_len,
                           .out = out.as<float>()}));
  return call.Value(id);
}

napi_value Norms(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const int64_t max_len = list.MaxLen();
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), list.geometry().num_kv_heads, max_len}, &out);
  call.Check(SlotNorms(call.runtime.context, {list.data(), list.rows(), list.layer, what, max_len, out.as<float>()}));
  return call.Value(id);
}

napi_value Summary(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const int32_t page_size = static_cast<int32_t>(call.Int(2, "pageSize", 1, 1 << 24));
  const int32_t from_page = static_cast<int32_t>(call.Int(3, "fromPage", 0, INT32_MAX));
  const int64_t pages = (list.MaxLen() + page_size - 1) / page_size;
  Tensor out;
  TensorId id = call.Id(4, "out");
  if (id != 0) out = call.TensorOf(4, "out", DType::kF32, {list.rows(), shape.num_kv_heads, -1, 2, shape.head_dim});
  else id = call.NewTensor(DType::kF32, {list.rows(), shape.num_kv_heads, pages, 2, shape.head_dim}, &out);
  call.Check(BlockSummary(call.runtime.context,
                          {list.data(), list.rows(), list.layer, page_size, from_page, out.dim(2), out.as<float>()}));
  return call.Value(id);
}

napi_value Blocks(Call& call) {
  const Tensor summary = call.TensorOf(1, "summary", DType::kF32, {-1, -1, -1, 2, -1});
  const int64_t rows = summary.dim(0);
  const int64_t kv_heads = summary.dim(1);
  const int64_t head_dim = summary.dim(4);
  const int64_t heads = call.Int(2, "numQueryHeads", 1, 1 << 20);
  if (head_dim < 1 || head_dim > 256 || kv_heads < 1) call.Refuse("summary", "1 to 256 channels a head", Describe(summary));
  const Tensor q = call.FloatTensor(0, "q", {-1, heads * head_dim});
  if (rows == 0 || q.dim(0) % rows != 0 || q.dim(0) == 0) {
    call.Refuse("q", "a multiple of " + std::to_string(rows) + " rows", std::to_string(q.dim(0)));
  }
  const auto gqa = static_cast<GqaReduce>(call.Int(3, "gqa", 0, 4));
  Tensor out;
  const int32_t lists = ListsAfter(gqa, static_cast<int32_t>(heads), static_cast<int32_t>(kv_heads));
  const TensorId id = call.NewTensor(DType::kF32, {rows, lists, summary.dim(2)}, &out);
  call.Check(BlockScores(call.runtime.context,
                         {.q = q.data,
                          .q_type = q.dtype,
                          .summary = summary.as<float>(),
                          .rows = static_cast<int32_t>(rows),
                          .query_len = static_cast<int32_t>(q.dim(0) / rows),
                          .num_query_heads = static_cast<int32_t>(heads),
                          .num_kv_heads = static_cast<int32_t>(kv_heads),
                          .head_dim = static_cast<int32_t>(head_dim),
                          .num_pages = summary.dim(2),
                          .gqa = gqa,
                          .out = out.as<float>()}));
  return call.Value(id);
}

napi_value Random(Call& call) {
  const int64_t rows = call.Int(0, "rows", 0, 1 << 20);
  const int64_t heads = call.Int(1, "numKvHeads", 0, 1 << 20);
  const int64_t length = call.Int(2, "length", 0, 1 << 22);
  const int64_t seed = call.Int(3, "seed", 0, int64_t{1} << 53);
  const int64_t layer = call.Int(4, "layer", 0, 1 << 20);
  if (heads * length > 0 && rows > (int64_t{1} << 28) / (heads * length)) {
    call.Refuse("rows", "at most 268435456 scores in all", std::to_string(rows));
  }
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {rows, heads, length}, &out);
  RandomScores({rows, heads, length, static_cast<uint64_t>(seed), static_cast<uint64_t>(layer), out.as<float>()});
  return call.Value(id);
}

napi_value Top(Call& call) {
  const Tensor scores = call.TensorOf(0, "scores", DType::kF32, {-1, -1, -1});
  const auto flatten = static_cast<Flatten>(call.Int(4, "flatten", 0, 2));
  const int64_t rows = scores.dim(0);
  const int64_t lists = scores.dim(1);
  const int64_t budgets = flatten == Flatten::kNone ? rows * lists : flatten == Flatten::kLists ? rows : 1;
  const int32_t* counts = nullptr;
  if (IsArray(call, 1)) {
    const Span<const int32_t> given = call.Ints(1, "counts");
    if (given.size != budgets) call.Refuse("counts", std::to_string(budgets) + " numbers", std::to_string(given.size));
    counts = given.data;
  } else {
    counts = (flatten == Flatten::kNone    ? call.TensorOf(1, "counts", DType::kI32, {rows, lists})
              : flatten == Flatten::kLists ? call.TensorOf(1, "counts", DType::kI32, {rows})
                                           : call.TensorOf(1, "counts", DType::kI32, {1}))
                 .as<int32_t>();
  }
  TopKResult result;
  call.Check(TopK({.scores = scores.as<float>(),
                   .rows = rows,
                   .lists = lists,
                   .length = scores.dim(2),
                   .counts = counts,
                   .protect_first = static_cast<int32_t>(call.Int(2, "protectFirst", 0, INT32_MAX)),
                   .protect_last = static_cast<int32_t>(call.Int(3, "protectLast", 0, INT32_MAX)),
                   .flatten = flatten},
                  &result));
  return ListPair(call, rows, lists, result);
}

}  // namespace

void init_scores(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"windowScores", Window},
            {"slotNorms", Norms},
            {"blockSummary", Summary},
            {"blockScores", Blocks},
            {"randomScores", Random},
            {"topK", Top}});
  RegisterSlotScores(env, exports, runtime);
  RegisterListOps(env, exports, runtime);
  RegisterClusters(env, exports, runtime);
  RegisterEntries(env, exports, runtime);
  RegisterVectorOps(env, exports, runtime);
}

}  // namespace winnow
