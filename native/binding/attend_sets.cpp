#include "../kernels/attend_sets.h"

#include "caches.h"
#include "sets_arguments.h"

namespace winnow {
namespace {

napi_value AttendSetsCall(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const int64_t rows = list.rows();
  const int64_t query_len = call.Int(3, "queryLen", 1, 1 << 24);
  const Tensor q = call.TensorOf(0, "q", call.runtime.context.act(), {rows * query_len, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const SetsArguments told = SetsArgumentsOf(call, {rows, query_len, heads, shape.num_kv_heads, shape.head_dim_v});
  const bool is_tree = told.visible == Visible::kTree, has_segments = told.visible == Visible::kSegments;
  std::vector<int64_t> counted(told.counts.data == nullptr ? 0 : static_cast<size_t>(told.counts.size()));
  int64_t pairs = 0;
  call.Check(AttendSets(call.runtime.context,
                        {.caches = list.data(),
                         .rows = list.rows(),
                         .layer = list.layer,
                         .num_query_heads = heads,
                         .query_len = static_cast<int32_t>(query_len),
                         .q = q.data,
                         .softmax_scale = told.softmax_scale,
                         .soft_cap = told.soft_cap,
                         .sliding_window = told.sliding_window,
                         .sets = told.sets.data(),
                         .num_sets = static_cast<int32_t>(told.sets.size()),
                         .heads = told.heads.size == 0 ? nullptr : told.heads.data,
                         .num_heads = static_cast<int32_t>(told.heads.size),
                         .queries = told.queries,
                         .visible = told.visible,
                         .parents = is_tree ? told.relation.as<int32_t>() : nullptr,
                         .segments = has_segments ? told.relation.as<int32_t>() : nullptr,
                         .num_segments = static_cast<int32_t>(has_segments ? told.relation.size() : 0),
                         .old_only = told.old_only,
                         .bias = told.bias.as<float>(),
                         .bias_heads = static_cast<int32_t>(told.bias.data == nullptr ? 0 : told.bias.dim(1)),
                         .bias_width = told.bias.data == nullptr ? 0 : told.bias.dim(2),
                         .bias_by_entry = told.bias_by_entry,
                         .positions = told.positions,
                         .clamp = told.clamp,
                         .cos_sin = told.cos_sin.as<float>(),
                         .rope_dims = static_cast<int32_t>(told.cos_sin.data == nullptr ? 0 : told.cos_sin.dim(1)),
                         .max_positions = told.cos_sin.data == nullptr ? 0 : told.cos_sin.dim(0),
                         .keys_rotated = told.keys_rotated,
                         .out = told.out.data,
                         .out_f32 = told.out_f32,
                         .lse = told.lse.as<float>(),
                         .counts = counted.empty() ? nullptr : counted.data(),
                         .seen = told.seen.as<uint8_t>(),
                         .seen_width = told.seen.data == nullptr ? 0 : told.seen.dim(2)},
                        &pairs));
  for (size_t i = 0; i < counted.size(); i++) told.counts.as<int32_t>()[i] = static_cast<int32_t>(counted[i]);
  return call.Value(static_cast<double>(pairs));
}

}  // namespace

void RegisterAttendSets(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"attendSets", AttendSetsCall}});
}

}  // namespace winnow
