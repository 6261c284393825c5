#include <algorithm>

#include "caches.h"
#include "lists.h"

/// Scores of slots by parts of their keys, projections, and cosines between slots.
namespace winnow::gpu {

namespace {

int32_t TypeOf(const Tensor& t) { return t.dtype == DType::kF32 ? WN_F32 : WN_BF16; }

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
  const int64_t gqa = call.Int(5, "gqa", 0, 4);
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), ListsAfter(gqa, heads, shape.num_kv_heads), list.MaxLen()}, &out);
  const WnChannelScoresParams params{.q = q.data,
                                     .cache = ViewOf(call, list),
                                     .channels = channels.as<int32_t>(),
                                     .channel_lens = lens.as<int32_t>(),
                                     .scores = out.as<float>(),
                                     .query_len = static_cast<int32_t>(q.dim(1)),
                                     .num_query_heads = heads,
                                     .max_len = list.MaxLen(),
                                     .lists = static_cast<int32_t>(lists),
                                     .channel_stride = static_cast<int32_t>(channels.dim(2)),
                                     .q_type = TypeOf(q),
                                     .gqa = static_cast<int32_t>(gqa)};
  Issue(call, wn_channel_scores(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Planes(Call& call) {
  const Tensor plane = call.TensorOf(1, "plane", DType::kF32, {-1, -1, -1, -1});
  const int64_t heads = call.Int(3, "numQueryHeads", 1, 65535), width = plane.dim(3);
  if (width < 1 || width > 4096) call.Refuse("plane", "1 to 4096 values an entry", Describe(plane));
  if (plane.dim(1) < 1 || heads % plane.dim(1) != 0) call.Refuse("numQueryHeads", "a multiple of " + std::to_string(plane.dim(1)), std::to_string(heads));
  const Tensor q = call.FloatTensor(0, "q", {plane.dim(0), -1, heads * width});
  const Span<const int32_t> used = call.Ints(2, "used");
  if (used.size != plane.dim(0) * plane.dim(1)) {
    call.Refuse("used", std::to_string(plane.dim(0) * plane.dim(1)) + " lengths", std::to_string(used.size));
  }
  int32_t max_len = 0;
  for (int64_t i = 0; i < used.size; i++) {
    if (used.data[i] < 0 || used.data[i] > plane.dim(2)) call.Refuse("used", "lengths of 0 to " + std::to_string(plane.dim(2)), std::to_string(used.data[i]));
    max_len = std::max(max_len, used.data[i]);
  }
  const int64_t gqa = call.Int(4, "gqa", 0, 4);
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {plane.dim(0), ListsAfter(gqa, heads, plane.dim(1)), max_len}, &out);
  if (max_len == 0) return call.Value(id);
  const WnPlaneScoresParams params{.q = q.data,
                                   .plane = plane.as<float>(),
                                   .used = StageFor(call, used.data, static_cast<size_t>(used.size)),
                                   .scores = out.as<float>(),
                                   .capacity = plane.dim(2),
                                   .rows = static_cast<int32_t>(plane.dim(0)),
                                   .query_len = static_cast<int32_t>(q.dim(1)),
                                   .num_query_heads = static_cast<int32_t>(heads),
                                   .num_kv_heads = static_cast<int32_t>(plane.dim(1)),
                                   .width = static_cast<int32_t>(width),
                                   .max_len = max_len,
                                   .q_type = TypeOf(q),
                                   .gqa = static_cast<int32_t>(gqa)};
  Issue(call, wn_plane_scores(&params, StreamOf(call)));
  return call.Value(id);
}

int32_t RankOf(const Call& call, const Tensor& basis) {
  if (basis.dim(0) < 1 || basis.dim(1) < 1 || basis.dim(1) > 4096) call.Refuse("basis", "1 to 4096 directions a head", Describe(basis));
  return static_cast<int32_t>(basis.dim(1));
}

napi_value ProjectSlots(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const auto what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const Tensor basis = call.TensorOf(3, "basis", DType::kF32, {shape.num_kv_heads, -1, shape.head_dim});
  const int32_t rank = RankOf(call, basis);
  const auto last = static_cast<int32_t>(call.Int(4, "last", 0, INT32_MAX));
  for (const Cache* cache : list.caches) {
    const int32_t shortest = cache->MinLen(list.layer);
    if (last > shortest) call.Refuse("last", "at most " + std::to_string(shortest) + " slots (the shortest head)", std::to_string(last));
  }
  const int32_t max_len = last > 0 ? last : list.MaxLen();
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), shape.num_kv_heads, max_len, rank}, &out);
  const WnProjectSlotsParams params{.cache = ViewOf(call, list), .basis = basis.as<float>(), .out = out.as<float>(),
                                    .rank = rank, .last = last, .max_len = max_len, .what = what};
  Issue(call, wn_project_slots(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value ProjectQueries(Call& call) {
  const Tensor basis = call.TensorOf(1, "basis", DType::kF32, {-1, -1, -1});
  const int32_t rank = RankOf(call, basis);
  const int64_t dim = basis.dim(2), heads = call.Int(2, "numQueryHeads", 1, 1 << 20);
  if (dim < 1 || dim > 256) call.Refuse("basis", "1 to 256 channels", Describe(basis));
  if (heads % basis.dim(0) != 0) call.Refuse("numQueryHeads", "a multiple of " + std::to_string(basis.dim(0)), std::to_string(heads));
  const Tensor q = call.FloatTensor(0, "q", {-1, -1, heads * dim});
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {q.dim(0), q.dim(1), heads * rank}, &out);
  if (q.dim(0) * q.dim(1) == 0) return call.Value(id);
  const WnProjectQueriesParams params{.q = q.data,
                                      .basis = basis.as<float>(),
                                      .out = out.as<float>(),
                                      .num_tokens = q.dim(0) * q.dim(1),
                                      .num_query_heads = static_cast<int32_t>(heads),
                                      .num_bases = static_cast<int32_t>(basis.dim(0)),
                                      .head_dim = static_cast<int32_t>(dim),
                                      .rank = rank,
                                      .q_type = TypeOf(q)};
  Issue(call, wn_project_queries(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value Cosine(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const int32_t heads = list.geometry().num_kv_heads;
  const auto what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const Tensor left = call.TensorOf(3, "left", DType::kI32, {list.rows(), heads, -1});
  const Tensor left_lens = call.TensorOf(4, "leftLens", DType::kI32, {list.rows(), heads});
  const Tensor right = call.TensorOf(5, "right", DType::kI32, {list.rows(), heads, -1});
  const Tensor right_lens = call.TensorOf(6, "rightLens", DType::kI32, {list.rows(), heads});
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), heads, left.dim(2), right.dim(2)}, &out);
  const WnPairwiseCosineParams params{.cache = ViewOf(call, list),
                                      .left = left.as<int32_t>(),
                                      .left_lens = left_lens.as<int32_t>(),
                                      .right = right.as<int32_t>(),
                                      .right_lens = right_lens.as<int32_t>(),
                                      .out = out.as<float>(),
                                      .left_stride = static_cast<int32_t>(left.dim(2)),
                                      .right_stride = static_cast<int32_t>(right.dim(2)),
                                      .what = what};
  Issue(call, wn_pairwise_cosine(&params, StreamOf(call)));
  return call.Value(id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"channelScores", Channels},
            {"planeScores", Planes},
            {"projectSlots", ProjectSlots},
            {"projectQueries", ProjectQueries},
            {"pairwiseCosine", Cosine}});
});

}  // namespace

}  // namespace winnow::gpu
