#include "../../binding/sets_arguments.h"
#include "caches.h"
#include "winnow_cuda/attend_sets.h"
#include "winnow_cuda/lse_merge.h"

/// Attention over unions of key sets, and joins of partial attentions. One host read a call: pairs and what was wrong.
namespace winnow::gpu {

namespace {

static_assert(static_cast<int>(SetKind::kVerticalSlash) == WN_SET_VERTICAL_SLASH && static_cast<int>(Visible::kEvery) == WN_VISIBLE_EVERY &&
              static_cast<int>(PositionRule::kClamp) == WN_POSITIONS_CLAMP);

WnKeyLists ListsFor(const Lists& from) {
  return {.values = from.values, .lens = from.lens, .per_row = from.per_row, .blocks = from.blocks, .max_len = from.max_len};
}

void PutSets(const Call& call, const SetsArguments& told, WnAttendSetsParams* params) {
  const auto count = static_cast<int32_t>(told.sets.size());
  if (count < 1 || count > WN_MAX_KEY_SETS) call.Refuse("sets", "one to " + std::to_string(WN_MAX_KEY_SETS) + " sets", std::to_string(count));
  params->num_sets = count;
  for (int32_t i = 0; i < count; i++) {
    const KeySet& set = told.sets[static_cast<size_t>(i)];
    params->sets[i] = {.lists = ListsFor(set.lists),
                       .diagonals = ListsFor(set.diagonals),
                       .kind = static_cast<int32_t>(set.kind),
                       .with_new = set.with_new,
                       .page_size = set.page_size,
                       .query_block = set.query_block,
                       .sink = set.sink,
                       .recent = set.recent};
  }
  params->queries = ListsFor(told.queries);
}

void PutHeads(const Call& call, const SetsArguments& told, int32_t num_query_heads, WnAttendSetsParams* params) {
  if (num_query_heads > WN_MAX_SETS_HEADS) call.Refuse("q", "at most " + std::to_string(WN_MAX_SETS_HEADS) + " query heads", std::to_string(num_query_heads));
  const auto set = [&](int32_t head) { params->heads[head / 32] |= 1u << (head % 32); };
  for (int32_t head = 0; told.heads.size == 0 && head < num_query_heads; head++) set(head);
  for (int64_t i = 0; i < told.heads.size; i++) {
    const int32_t head = told.heads[i];
    if (head < (i == 0 ? 0 : told.heads[i - 1] + 1) || head >= num_query_heads) {
      call.Refuse("heads", "ascending query heads below " + std::to_string(num_query_heads), std::to_string(head));
    }
    set(head);
  }
}

/// Throws what the device found wrong.
void CheckFaults(const Call& call, int64_t faults) {
  if (faults & WN_SETS_BAD_LIST) call.Refuse("sets", "ascending entries below the slots of their head, lens of -1 to maxLen", "other lists");
  if (faults & WN_SETS_BAD_TREE) call.Refuse("parents", "-1 or an earlier token", "another parent");
  if (faults & WN_SETS_BAD_POSITION) call.Refuse("cosSin", "a row for every position", "positions without one");
  if (faults & WN_SETS_UNEVEN) {
    call.Check(Status::Fail(Code::kUnsupported, "attendSets.positions", "one set for all queries of a step with compact positions",
                            "sets that differ by query"));
  }
}

napi_value Attend(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const int64_t rows = list.rows(), query_len = call.Int(3, "queryLen", 1, 1 << 24);
  const Tensor q = call.TensorOf(0, "q", DType::kBf16, {rows * query_len, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const SetsArguments told = SetsArgumentsOf(call, {rows, query_len, heads, shape.num_kv_heads, shape.head_dim});
  WnAttendSetsParams params{};
  PutSets(call, told, &params);
  PutHeads(call, told, heads, &params);
  const int64_t least = told.visible == Visible::kEvery ? 1 : query_len, most = told.seen.data == nullptr ? INT32_MAX : told.seen.dim(2);
  for (const Cache* cache : list.caches) {
    const int32_t shortest = cache->MinLen(list.layer);
    if (shortest < least || cache->MaxLen(list.layer) > most) {
      call.Refuse("caches", "at least " + std::to_string(least) + " slots in a head, and room in seen", std::to_string(shortest));
    }
  }
  params.q = q.data;
  params.cache = ViewOf(call, list);
  params.parents = told.visible == Visible::kTree ? told.relation.as<int32_t>() : nullptr;
  params.segments = told.visible == Visible::kSegments ? told.relation.as<int32_t>() : nullptr;
  params.num_segments = static_cast<int32_t>(told.visible == Visible::kSegments ? told.relation.size() : 0);
  params.bias = told.bias.as<float>();
  params.bias_heads = static_cast<int32_t>(told.bias.data == nullptr ? 0 : told.bias.dim(1));
  params.bias_width = told.bias.data == nullptr ? 0 : told.bias.dim(2);
  params.bias_by_entry = told.bias_by_entry;
  params.cos_sin = told.cos_sin.as<float>();
  params.rope_dims = static_cast<int32_t>(told.cos_sin.data == nullptr ? 0 : told.cos_sin.dim(1));
  params.max_positions = told.cos_sin.data == nullptr ? 0 : told.cos_sin.dim(0);
  params.keys_rotated = told.keys_rotated;
  params.positions = static_cast<int32_t>(told.positions);
  params.clamp = told.clamp;
  params.visible = static_cast<int32_t>(told.visible);
  params.old_only = told.old_only;
  params.sliding_window = told.sliding_window;
  params.softmax_scale = told.softmax_scale;
  params.soft_cap = told.soft_cap;
  params.query_len = static_cast<int32_t>(query_len);
  params.num_query_heads = heads;
  params.max_slots = list.MaxLen();
  params.out = told.out.data;
  params.out_f32 = told.out_f32;
  params.lse = told.lse.as<float>();
  params.counts = told.counts.as<int32_t>();
  params.seen = told.seen.as<uint8_t>();
  params.seen_width = told.seen.data == nullptr ? 0 : told.seen.dim(2);
  const DeviceFacts& facts = DeviceOf(call).facts();
  bool is_even = facts.compute_major == 9;
  for (const Cache* cache : list.caches) is_even = is_even && cache->MinLen(list.layer) == params.max_slots;
  if (is_even) {
    std::byte* scheduler = nullptr;
    call.Check(EngineOf(call).Workspace("prefill_attention", 256, &scheduler));
    params.scheduler = reinterpret_cast<int32_t*>(scheduler);
    params.num_pages = shape.pool->num_pages();
  }
  std::byte* results = nullptr;
  call.Check(EngineOf(call).Workspace("attend_sets results", 16, &results));
  params.results = reinterpret_cast<int64_t*>(results);
  params.workspace_bytes = wn_attend_sets_workspace_bytes(&params);
  params.workspace = WorkspaceOf(call, static_cast<size_t>(params.workspace_bytes));
  Issue(call, wn_attend_sets(&params, StreamOf(call)));
  int64_t read[2] = {0, 0};
  call.Check(DeviceOf(call).CopyDown(read, results, sizeof(read)));
  CheckFaults(call, read[1]);
  return call.Value(static_cast<double>(read[0]));
}

napi_value Merge(Call& call) {
  const Tensor outs = call.TensorOf(0, "outs", DType::kF32, {-1, -1, -1, -1});
  const int64_t parts = outs.dim(0), tokens = outs.dim(1), heads = outs.dim(2);
  const Tensor lses = call.TensorOf(1, "lses", DType::kF32, {parts, tokens, heads});
  const Tensor out = call.TensorOf(2, "out", DType::kF32, {tokens, heads, outs.dim(3)});
  const Tensor lse = call.TensorOf(3, "lse", DType::kF32, {tokens, heads});
  if (out.size() == 0) return call.Nothing();
  if (parts < 1 || tokens * heads > INT32_MAX) call.Refuse("outs", "at least one part", Describe(outs));
  const WnLseMergeParams params{.part_out = outs.as<float>(),
                                .part_lse = lses.as<float>(),
                                .out = out.data,
                                .lse = lse.as<float>(),
                                .num_parts = static_cast<int32_t>(parts),
                                .num_rows = static_cast<int32_t>(tokens * heads),
                                .head_dim = static_cast<int32_t>(outs.dim(3)),
                                .out_f32 = 1};
  Issue(call, wn_lse_merge(&params, StreamOf(call)));
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"attendSets", Attend}, {"mergeLse", Merge}});
});

}  // namespace

}  // namespace winnow::gpu
