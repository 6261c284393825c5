#include "../kernels/slot_scores.h"

#include <algorithm>

#include "caches.h"

/// Scores of slots by parts of their keys.
namespace winnow {

namespace {

napi_value Channels(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const Tensor q = call.FloatTensor(0, "q", {list.rows(), -1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(2), shape);
  const Tensor channels = call.TensorOf(3, "channels", DType::kI32, {list.rows(), -1, -1});
  const int64_t lists = channels.dim(1);
  if (lists != 1 && lists != shape.num_kv_heads && lists != heads) {
    call.Refuse("channels", "1, " + std::to_string(shape.num_kv_heads) + " or " + std::to_string(heads) + " lists a row", std::to_string(lists));
  }
  const Tensor lens = call.TensorOf(4, "lens", DType::kI32, {list.rows(), lists});
  const auto gqa = static_cast<GqaReduce>(call.Int(5, "gqa", 0, 4));
  const int64_t max_len = list.MaxLen();
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), ListsAfter(gqa, heads, shape.num_kv_heads), max_len}, &out);
  call.Check(ChannelScores(call.runtime.context, {.q = q.data,
                                                  .q_type = q.dtype,
                                                  .caches = list.data(),
                                                  .rows = list.rows(),
                                                  .layer = list.layer,
                                                  .query_len = static_cast<int32_t>(q.dim(1)),
                                                  .num_query_heads = heads,
                                                  .channels = channels.as<int32_t>(),
                                                  .stride = channels.dim(2),
                                                  .lens = lens.as<int32_t>(),
                                                  .lists = static_cast<int32_t>(lists),
                                                  .gqa = gqa,
                                                  .max_len = max_len,
                                                  .out = out.as<float>()}));
  return call.Value(id);
}

napi_value Planes(Call& call) {
  const Tensor plane = call.TensorOf(1, "plane", DType::kF32, {-1, -1, -1, -1});
  const int64_t heads = call.Int(3, "numQueryHeads", 1, 1 << 20);
  const int64_t width = plane.dim(3);
  if (width < 1 || width > 4096) call.Refuse("plane", "1 to 4096 values an entry", Describe(plane));
  const Tensor q = call.FloatTensor(0, "q", {plane.dim(0), -1, heads * width});
  const Span<const int32_t> used = call.Ints(2, "used");
  if (used.size != plane.dim(0) * plane.dim(1)) {
    call.Refuse("used", std::to_string(plane.dim(0) * plane.dim(1)) + " lengths", std::to_string(used.size));
  }
  const auto gqa = static_cast<GqaReduce>(call.Int(4, "gqa", 0, 4));
  int64_t max_len = 0;
  for (int64_t i = 0; i < used.size; i++) max_len = std::max<int64_t>(max_len, used[i]);
  Tensor out;
  const int32_t lists = ListsAfter(gqa, static_cast<int32_t>(heads), static_cast<int32_t>(plane.dim(1)));
  const TensorId id = call.NewTensor(DType::kF32, {plane.dim(0), lists, max_len}, &out);
  call.Check(PlaneScores(call.runtime.context, {.q = q.data,
                                                .q_type = q.dtype,
                                                .plane = plane.as<float>(),
                                                .rows = static_cast<int32_t>(plane.dim(0)),
                                                .query_len = static_cast<int32_t>(q.dim(1)),
                                                .num_query_heads = static_cast<int32_t>(heads),
                                                .num_kv_heads = static_cast<int32_t>(plane.dim(1)),
                                                .width = static_cast<int32_t>(width),
                                                .capacity = plane.dim(2),
                                                .used = used.data,
                                                .gqa = gqa,
                                                .max_len = max_len,
                                                .out = out.as<float>()}));
  return call.Value(id);
}

int32_t RankOf(const Call& call, const Tensor& basis) {
  if (basis.dim(0) < 1 || basis.dim(1) < 1 || basis.dim(1) > 4096) call.Refuse("basis", "1 to 4096 directions a head", Describe(basis));
  return static_cast<int32_t>(basis.dim(1));
}

napi_value ProjectSlots(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const int32_t dim = what == 0 ? shape.head_dim : shape.head_dim_v;
  const Tensor basis = call.TensorOf(3, "basis", DType::kF32, {shape.num_kv_heads, -1, dim});
  const int32_t rank = RankOf(call, basis);
  const int32_t last = static_cast<int32_t>(call.Int(4, "last", 0, INT32_MAX));
  const int64_t max_len = last > 0 ? last : list.MaxLen();
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), shape.num_kv_heads, max_len, rank}, &out);
  call.Check(Project(call.runtime.context, {.caches = list.data(),
                                            .layer = list.layer,
                                            .what = what,
                                            .x = nullptr,
                                            .x_type = DType::kF32,
                                            .rows = list.rows(),
                                            .heads = shape.num_kv_heads,
                                            .bases = shape.num_kv_heads,
                                            .dim = dim,
                                            .rank = rank,
                                            .basis = basis.as<float>(),
                                            .last = last,
                                            .max_len = max_len,
                                            .out = out.as<float>()}));
  return call.Value(id);
}

napi_value ProjectQueries(Call& call) {
  const Tensor basis = call.TensorOf(1, "basis", DType::kF32, {-1, -1, -1});
  const int32_t rank = RankOf(call, basis);
  const int64_t dim = basis.dim(2);
  if (dim < 1 || dim > 256) call.Refuse("basis", "1 to 256 channels", Describe(basis));
  const int64_t heads = call.Int(2, "numQueryHeads", 1, 1 << 20);
  const Tensor q = call.FloatTensor(0, "q", {-1, -1, heads * dim});
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {q.dim(0), q.dim(1), heads * rank}, &out);
  call.Check(Project(call.runtime.context, {.caches = nullptr,
                                            .layer = 0,
                                            .what = 0,
                                            .x = q.data,
                                            .x_type = q.dtype,
                                            .rows = static_cast<int32_t>(q.dim(0) * q.dim(1)),
                                            .heads = static_cast<int32_t>(heads),
                                            .bases = static_cast<int32_t>(basis.dim(0)),
                                            .dim = static_cast<int32_t>(dim),
                                            .rank = rank,
                                            .basis = basis.as<float>(),
                                            .last = 0,
                                            .max_len = 1,
                                            .out = out.as<float>()}));
  return call.Value(id);
}

}  // namespace

void RegisterSlotScores(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"channelScores", Channels},
            {"planeScores", Planes},
            {"projectSlots", ProjectSlots},
            {"projectQueries", ProjectQueries}});
}

}  // namespace winnow
