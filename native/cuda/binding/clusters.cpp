#include "caches.h"
#include "lists.h"

/// Clusters of slots and their means, the heaviest part of a list, and the round trip through codes.
namespace winnow::gpu {

namespace {

napi_value Cluster(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const int32_t heads = shape.num_kv_heads;
  WnKMeansParams params{.seed = static_cast<uint64_t>(call.Int(6, "seed", 0, int64_t{1} << 53)),
                        .layer = static_cast<uint64_t>(list.layer),
                        .clusters = static_cast<int32_t>(call.Int(3, "clusters", 1, 1 << 16)),
                        .iterations = static_cast<int32_t>(call.Int(4, "iterations", 0, 1000)),
                        .max_len = list.MaxLen(),
                        .what = static_cast<int32_t>(call.Int(2, "what", 0, 1)),
                        .seeding = static_cast<int32_t>(call.Int(5, "seeding", 0, 1))};
  Tensor centroids, assignment, sizes;
  const TensorId ids[] = {call.NewTensor(DType::kF32, {list.rows(), heads, params.clusters, shape.head_dim}, &centroids),
                          call.NewTensor(DType::kI32, {list.rows(), heads, params.max_len}, &assignment),
                          call.NewTensor(DType::kI32, {list.rows(), heads, params.clusters}, &sizes)};
  params.centroids = centroids.as<float>();
  params.assignment = assignment.as<int32_t>();
  params.sizes = sizes.as<int32_t>();
  if (params.max_len > 0) {
    params.cache = ViewOf(call, list);
    params.workspace_bytes = wn_k_means_workspace_bytes(&params);
    if (params.workspace_bytes > 0) params.workspace = WorkspaceOf(call, static_cast<size_t>(params.workspace_bytes));
    Issue(call, wn_k_means(&params, StreamOf(call)));
  }
  napi_value triple;
  napi_create_array_with_length(call.env, 3, &triple);
  for (uint32_t i = 0; i < 3; i++) napi_set_element(call.env, triple, i, call.Value(ids[i]));
  return triple;
}

napi_value Means(Call& call) {
  const CacheList list = CachesOf(call, 0, 1);
  const LayerGeometry& shape = list.geometry();
  const auto what = static_cast<int32_t>(call.Int(2, "what", 0, 1));
  const Tensor assignment = call.TensorOf(3, "assignment", DType::kI32, {list.rows(), shape.num_kv_heads, list.MaxLen()});
  const auto groups = static_cast<int32_t>(call.Int(4, "groups", 1, 1 << 16));
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {list.rows(), shape.num_kv_heads, groups, shape.head_dim}, &out);
  if (list.MaxLen() == 0) return call.Value(id);
  const WnGroupMeansParams params{.cache = ViewOf(call, list),
                                  .assignment = assignment.as<int32_t>(),
                                  .means = out.as<float>(),
                                  .groups = groups,
                                  .max_len = list.MaxLen(),
                                  .what = what};
  Issue(call, wn_group_means(&params, StreamOf(call)));
  return call.Value(id);
}

napi_value HeaviestPart(Call& call) {
  const Tensor weights = call.TensorOf(0, "weights", DType::kF32, {-1, -1, -1});
  const double mass = call.Number(1, "mass");
  if (!(mass >= 0 && mass <= 1)) call.Refuse("mass", "a share in [0, 1]", std::to_string(mass));
  Tensor wide, lens;
  (void)call.NewTensor(DType::kI32, {weights.dim(0), weights.dim(1), weights.dim(2)}, &wide);
  const TensorId lens_id = call.NewTensor(DType::kI32, {weights.dim(0), weights.dim(1)}, &lens);
  const WnTopPParams params{.weights = weights.as<float>(),
                            .indices = wide.as<int32_t>(),
                            .lens = lens.as<int32_t>(),
                            .num_lists = lens.size(),
                            .length = static_cast<int32_t>(weights.dim(2)),
                            .protect_first = static_cast<int32_t>(call.Int(2, "protectFirst", 0, INT32_MAX)),
                            .protect_last = static_cast<int32_t>(call.Int(3, "protectLast", 0, INT32_MAX)),
                            .mass = mass};
  Issue(call, wn_top_p(&params, StreamOf(call)));
  const std::vector<int32_t> lengths = ReadInts(call, lens);
  for (size_t list = 0; list < lengths.size(); list++)
    if (lengths[list] < 0) call.Refuse("weights", "weights of 0 or more", "others in list " + std::to_string(list));
  return Tightened(call, wide, lens, lens_id, lengths);
}

napi_value RoundTrip(Call& call) {
  const Tensor x = call.TensorOf(0, "x", DType::kF32, {-1, -1});
  const int64_t bits = call.Int(1, "bits", INT32_MIN, INT32_MAX), group = call.Int(2, "group", INT32_MIN, INT32_MAX);
  const int64_t along = call.Int(3, "along", 0, 1), grouped = x.dim(along == 0 ? 0 : 1);
  if (bits != 2 && bits != 4 && bits != 8) call.Refuse("bits", "2, 4 or 8", std::to_string(bits));
  if (x.dim(1) < 8 || x.dim(1) % 8 != 0 || x.dim(1) > 4096) call.Refuse("x", "channels in multiples of 8 up to 4096", Describe(x));
  if (group < 1 || group > 32767 || grouped % group != 0) {
    call.Refuse("group", "a divisor of " + std::to_string(grouped) + (along == 0 ? " slots" : " channels"), std::to_string(group));
  }
  Tensor out;
  const TensorId id = call.NewTensor(DType::kF32, {x.dim(0), x.dim(1)}, &out);
  const WnQuantiseRoundTripParams params{.x = x.as<float>(),
                                         .out = out.as<float>(),
                                         .rows = x.dim(0),
                                         .dim = static_cast<int32_t>(x.dim(1)),
                                         .bits = static_cast<int32_t>(bits),
                                         .group = static_cast<int32_t>(group),
                                         .along = static_cast<int32_t>(along)};
  if (out.size() > 0) Issue(call, wn_quantise_round_trip(&params, StreamOf(call)));
  return call.Value(id);
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"kMeans", Cluster}, {"groupMeans", Means}, {"topP", HeaviestPart}, {"quantiseRoundTrip", RoundTrip}});
});

}  // namespace

}  // namespace winnow::gpu
