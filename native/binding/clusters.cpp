#include "../kernels/k_means.h"
#include "../kernels/pairwise_cosine.h"
#include "caches.h"

/// What methods that cluster or merge slots compute from a cache.
namespace winnow {

namespace {

napi_value Cosine(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const int32_t heads = list.geometry().num_kv_heads;
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const Tensor left = call.TensorOf(3, "left", DType::kI32, {list.rows(), heads, -1});
  const Tensor left_lens = call.TensorOf(4, "leftLens", DType::kI32, {list.rows(), heads});
  const Tensor right = call.TensorOf(5, "right", DType::kI32, {list.rows(), heads, -1});
  const Tensor right_lens = call.TensorOf(6, "rightLens", DType::kI32, {list.rows(), heads});
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), heads, left.dim(2), right.dim(2)}, &out);
  call.Check(PairwiseCosine(call.runtime.context, {.caches = list.data(),
                                                   .rows = list.rows(),
                                                   .layer = list.layer,
                                                   .what = what,
                                                   .left = left.as<int32_t>(),
                                                   .left_stride = left.dim(2),
                                                   .left_lens = left_lens.as<int32_t>(),
                                                   .right = right.as<int32_t>(),
                                                   .right_stride = right.dim(2),
                                                   .right_lens = right_lens.as<int32_t>(),
                                                   .out = out.as<float>()}));
  return call.Value(id);
}

napi_value Cluster(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const int32_t clusters = static_cast<int32_t>(call.Int(3, "clusters", 1, 1 << 16));
  const int32_t iterations = static_cast<int32_t>(call.Int(4, "iterations", 0, 1000));
  const auto seeding = static_cast<Seeding>(call.Int(5, "seeding", 0, 1));
  const auto seed = static_cast<uint64_t>(call.Int(6, "seed", 0, int64_t{1} << 53));
  const int64_t max_len = list.MaxLen();
  const int32_t heads = shape.num_kv_heads;
  Tensor centroids, assignment, sizes;
  const TensorId ids[] = {
      call.NewTensor(DType::kF32, {list.rows(), heads, clusters, what == 0 ? shape.head_dim : shape.head_dim_v}, &centroids),
      call.NewTensor(DType::kI32, {list.rows(), heads, max_len}, &assignment),
      call.NewTensor(DType::kI32, {list.rows(), heads, clusters}, &sizes)};
  call.Check(KMeans(call.runtime.context, {.caches = list.data(),
                                           .rows = list.rows(),
                                           .layer = list.layer,
                                           .what = what,
                                           .clusters = clusters,
                                           .iterations = iterations,
                                           .seeding = seeding,
                                           .seed = seed,
                                           .max_len = max_len,
                                           .centroids = centroids.as<float>(),
                                           .assignment = assignment.as<int32_t>(),
                                           .sizes = sizes.as<int32_t>()}));
  napi_value triple;
  napi_create_array_with_length(call.env, 3, &triple);
  for (uint32_t i = 0; i < 3; i++) napi_set_element(call.env, triple, i, call.Value(ids[i]));
  return triple;
}

napi_value Means(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const int32_t what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const Tensor assignment = call.TensorOf(3, "assignment", DType::kI32, {list.rows(), shape.num_kv_heads, list.MaxLen()});
  const int32_t groups = static_cast<int32_t>(call.Int(4, "groups", 1, 1 << 16));
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), shape.num_kv_heads, groups, what == 0 ? shape.head_dim : shape.head_dim_v}, &out);
  call.Check(GroupMeans(call.runtime.context, {.caches = list.data(),
                                               .rows = list.rows(),
                                               .layer = list.layer,
                                               .what = what,
                                               .groups = groups,
                                               .max_len = assignment.dim(2),
                                               .assignment = assignment.as<int32_t>(),
                                               .out = out.as<float>()}));
  return call.Value(id);
}

}  // namespace

void RegisterClusters(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"pairwiseCosine", Cosine}, {"kMeans", Cluster}, {"groupMeans", Means}});
}

}  // namespace winnow
