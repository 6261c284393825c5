#include "attention_packed.h"
#include "caches.h"
#include "winnow_cuda/attention_any.h"
#include "winnow_cuda/attention_probs.h"
#include "winnow_cuda/decode_attention.h"
#include "winnow_cuda/prefill_attention.h"

/// Attention over the caches: Hopper's own kernels where they have what is asked for, the portable one everywhere else.
namespace winnow::gpu {

namespace {

float FiniteOf(Call& call, int i, const char* what) {
  const double x = call.Number(i, what);
  if (!(x >= -1e30 && x <= 1e30)) call.Refuse(what, "a finite number", std::to_string(x));
  return static_cast<float>(x);
}

float AtLeastZero(Call& call, int i, const char* what) {
  const float x = FiniteOf(call, i, what);
  if (x < 0.0f) call.Refuse(what, "0 or more", std::to_string(x));
  return x;
}

/// The host build answers as a Hopper device, so that the calls of its kernels are tested.
bool HasHopperKernels(const Call& call, int32_t head_dim) {
  const DeviceFacts& facts = DeviceOf(call).facts();
  return (facts.is_host || facts.compute_major == 9) && (head_dim == 64 || head_dim == 128 || head_dim == 256);
}

void AttendAny(Call& call, WnAttentionAnyParams params) {
  params.workspace_bytes = wn_attention_any_workspace_bytes(&params);
  std::byte* workspace = nullptr;
  call.Check(EngineOf(call).Workspace("attention_any", static_cast<size_t>(params.workspace_bytes), &workspace));
  params.workspace = workspace;
  Issue(call, wn_attention_any(&params, StreamOf(call)));
}

/// What both kinds of call say to the portable kernel.
WnAttentionAnyParams AnyParams(const CacheList& list, const WnCacheView& view, const Tensor& q, int64_t query_len, int32_t heads,
                               float scale, float soft_cap, int32_t sliding_window) {
  WnAttentionAnyParams params{};
  params.q = q.data;
  params.pages = view.pages;
  params.page_table = view.page_table;
  params.kv_lens = view.kv_lens;
  params.positions = view.positions;
  params.log_bias = view.log_bias;
  params.max_slots = list.MaxLen();
  params.rows = view.rows;
  params.query_len = static_cast<int32_t>(query_len);
  params.num_query_heads = heads;
  params.num_kv_heads = view.num_kv_heads;
  params.head_dim = view.head_dim;
  params.page_table_stride = view.page_table_stride;
  params.sliding_window = sliding_window;
  params.softmax_scale = scale;
  params.soft_cap = soft_cap;
  return params;
}

/// One window for all heads, as Hopper's kernel takes it. Heads of their own, or those that see nothing but sinks, are the portable kernel's.
struct Window {
  bool fits = true;
  int32_t sinks = 0, recents = 0;
};
Window WindowOf(const Call& call, const Tensor& windows) {
  if (windows.data == nullptr) return {};
  const Fact* known = EngineOf(call).known.Find(windows, Known::kValues);
  if (known == nullptr) return {.fits = false};
  const std::vector<int32_t>& values = known->first;
  for (size_t i = 2; i < values.size(); i++)
    if (values[i] != values[i - 2]) return {.fits = false};
  if (values[0] < 0 || values[1] < 0) return {};
  return {.fits = values[1] > 0 && values[1] < (1 << 28), .sinks = values[0], .recents = values[1]};
}

napi_value Prefill(Call& call) {
  CacheList list;
  list.ids = {static_cast<int32_t>(call.Int(1, "cache", 0, INT32_MAX))};
  list.caches = {&CacheOf(call, 1, "cache")};
  list.layer = LayerOf(call, 2, *list.caches[0]);
  const LayerGeometry& shape = list.geometry();
  const Tensor q = call.TensorOf(0, "q", DType::kBf16, {-1, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  const Tensor windows = call.OptionalTensor(6, "windows", DType::kI32, {heads, 2});
  const Tensor out = call.TensorOf(7, "out", DType::kBf16, {q.dim(0), int64_t{heads} * shape.head_dim});
  const Tensor lse = call.OptionalTensor(8, "lse", DType::kF32, {q.dim(0), heads});
  const int32_t longest = list.MaxLen(), shortest = list.caches[0]->MinLen(list.layer);
  if (q.dim(0) > shortest) call.Refuse("q", "at most " + std::to_string(shortest) + " queries (the shortest head)", std::to_string(q.dim(0)));
  if (q.dim(0) == 0) return call.Nothing();
  const float scale = FiniteOf(call, 3, "softmaxScale"), soft_cap = AtLeastZero(call, 4, "softCap");
  const auto sliding_window = static_cast<int32_t>(call.Int(5, "slidingWindow", 0, INT32_MAX));
  const WnCacheView view = ViewOf(call, list);
  const Window window = WindowOf(call, windows);
  const bool is_plain = soft_cap == 0 && sliding_window == 0 && window.fits && view.log_bias == nullptr && longest == shortest;
  if (!is_plain || !HasHopperKernels(call, shape.head_dim) || q.dim(0) < WN_PREFILL_COLUMN_BLOCK) {
    WnAttentionAnyParams params = AnyParams(list, view, q, q.dim(0), heads, scale, soft_cap, sliding_window);
    params.windows = windows.as<int32_t>();
    params.out = out.data;
    params.lse = lse.as<float>();
    AttendAny(call, params);
    return call.Nothing();
  }
  std::byte* scheduler = nullptr;
  call.Check(EngineOf(call).Workspace("prefill_attention", 256, &scheduler));
  const WnPrefillAttentionParams params{.q = q.data,
                                        .out = out.data,
                                        .lse = lse.as<float>(),
                                        .num_query_heads = heads,
                                        .num_kv_heads = shape.num_kv_heads,
                                        .head_dim = shape.head_dim,
                                        .query_len = static_cast<int32_t>(q.dim(0)),
                                        .kv_len = longest,
                                        .q_offset = longest - static_cast<int32_t>(q.dim(0)),
                                        .softmax_scale = scale,
                                        .sink_tokens = window.sinks,
                                        .window_tokens = window.recents,
                                        .pages = view.pages,
                                        .page_table = view.page_table,
                                        .scheduler = reinterpret_cast<int32_t*>(scheduler),
                                        .num_pages = shape.pool->num_pages(),
                                        .page_table_stride = view.page_table_stride,
                                        .lse_by_token = 1};
  Issue(call, wn_prefill_attention(&params, StreamOf(call)));
  return call.Nothing();
}

/// What attendDecode was asked to read, with the widths checked.
struct Reads {
  int32_t scope, page_size;
  Tensor indices, lens;
};

/// One query token a row over all slots or lists of them: bandwidth is all that counts.
void DecodeOne(Call& call, const WnCacheView& view, const LayerGeometry& shape, const Reads& reads, const Tensor& q, int32_t heads,
               float scale, const Tensor& out, float* lse) {
  const bool lists = reads.scope != WN_LIST_NONE;
  WnDecodeAttentionParams params{.q = q.data,
                                 .pages = view.pages,
                                 .page_table = view.page_table,
                                 .kv_lens = view.kv_lens,
                                 .selected = reads.indices.as<int32_t>(),
                                 .selected_lens = reads.lens.as<int32_t>(),
                                 .log_bias = view.log_bias,
                                 .out = out.data,
                                 .lse = lse,
                                 .batch = view.rows,
                                 .num_query_heads = heads,
                                 .num_kv_heads = shape.num_kv_heads,
                                 .head_dim = shape.head_dim,
                                 .num_pages = shape.pool->most_pages(),
                                 .page_table_stride = view.page_table_stride,
                                 .selected_stride = lists ? static_cast<int32_t>(reads.indices.dim(2)) : 0,
                                 .selection = !lists ? WN_SELECT_ALL : reads.page_size > 0 ? WN_SELECT_PAGES : WN_SELECT_TOKENS,
                                 .selected_page = lists ? reads.page_size : 0,
                                 .one_list_per_row = reads.scope == WN_LIST_ROW,
                                 .reads_own = 1,
                                 .softmax_scale = scale};
  params.workspace_bytes = wn_decode_attention_workspace_bytes(&params);
  std::byte* workspace = nullptr;
  call.Check(EngineOf(call).Workspace("decode_attention", static_cast<size_t>(params.workspace_bytes), &workspace));
  params.workspace = workspace;
  IssueOfStep<wn_decode_attention>(call, params);
}

/// The weights of all slots, from the log-sums of the attention before.
void Weigh(Call& call, const WnCacheView& view, const Tensor& q, int32_t heads, float scale, const float* lse, const Tensor& probs) {
  const WnAttentionProbsParams params{.q = q.data,
                                      .cache = view,
                                      .lse = lse,
                                      .probs = probs.as<float>(),
                                      .max_slots = probs.dim(2),
                                      .num_query_heads = heads,
                                      .softmax_scale = scale};
  Issue(call, wn_attention_probs(&params, StreamOf(call)));
}

/// Weights are finite for as many slots as a head has.
void RememberProbs(Call& call, const CacheList& list, int32_t heads, const Tensor& probs) {
  Fact finite;
  const int32_t group = heads / list.geometry().num_kv_heads;
  for (const Cache* cache : list.caches)
    for (int32_t head = 0; head < heads; head++) finite.first.push_back(cache->head(list.layer, head / group).len);
  EngineOf(call).known.Remember(probs, Known::kFinite, std::move(finite));
}

napi_value Decode(Call& call) {
  const CacheList list = CachesOf(call, 1, 2);
  const LayerGeometry& shape = list.geometry();
  const int64_t rows = list.rows(), query_len = call.Int(3, "queryLen", 1, 1 << 24);
  const Tensor q = call.TensorOf(0, "q", DType::kBf16, {rows * query_len, -1});
  const int32_t heads = QueryHeadsOf(call, q.dim(1), shape);
  Reads reads{.scope = static_cast<int32_t>(call.Int(7, "scope", 0, 3)),
              .page_size = static_cast<int32_t>(call.Int(10, "pageSize", 0, 1 << 24))};
  const int32_t scope = reads.scope;
  const int32_t lists = scope == WN_LIST_ROW ? 1 : scope == WN_LIST_KV_HEAD ? shape.num_kv_heads : heads;
  if (scope != WN_LIST_NONE) {
    reads.indices = call.TensorOf(8, "indices", DType::kI32, {rows, lists, -1});
    reads.lens = call.TensorOf(9, "lens", DType::kI32, {rows, lists});
  }
  const Tensor out = call.TensorOf(11, "out", DType::kBf16, {rows * query_len, int64_t{heads} * shape.head_dim});
  const Tensor lse = call.OptionalTensor(12, "lse", DType::kF32, {rows * query_len, heads});
  const Tensor probs = call.OptionalTensor(13, "probs", DType::kF32, {rows, heads, -1});
  const float scale = FiniteOf(call, 4, "softmaxScale"), soft_cap = AtLeastZero(call, 5, "softCap");
  const auto sliding_window = static_cast<int32_t>(call.Int(6, "slidingWindow", 0, INT32_MAX));
  for (const Cache* cache : list.caches) {
    const int32_t shortest = cache->MinLen(list.layer);
    if (query_len > shortest) call.Refuse("queryLen", "at most " + std::to_string(shortest) + " slots (the shortest head)", std::to_string(query_len));
  }
  const bool reads_all = query_len == 1 && scope == WN_LIST_NONE && soft_cap == 0 && sliding_window == 0 && probs.data == nullptr;
  if (reads_all && DecodePacked(call, list, q, heads, scale, out, lse.as<float>())) return call.Nothing();
  const WnCacheView view = ViewOf(call, list);
  if (probs.data != nullptr && query_len != 1) call.Refuse("probs", "one query token a row", std::to_string(query_len));
  if (probs.data != nullptr && probs.dim(2) < list.MaxLen()) {
    call.Refuse("probs", "room for " + std::to_string(list.MaxLen()) + " slots", std::to_string(probs.dim(2)));
  }
  if (probs.data != nullptr) RememberProbs(call, list, heads, probs);
  const int32_t page = reads.page_size;
  const bool has_lists = scope == WN_LIST_NONE || (scope != WN_LIST_QUERY_HEAD && probs.data == nullptr &&
                                                   (page == 0 || (view.log_bias == nullptr && (page == 16 || page == 32 || page == 64))));
  if (query_len == 1 && soft_cap == 0 && sliding_window == 0 && has_lists && HasHopperKernels(call, shape.head_dim) &&
      heads / shape.num_kv_heads <= 16) {
    auto* sums = lse.as<float>();
    if (probs.data != nullptr && sums == nullptr) sums = reinterpret_cast<float*>(WorkspaceOf(call, static_cast<size_t>(rows * heads) * 4));
    DecodeOne(call, view, shape, reads, q, heads, scale, out, sums);
    if (probs.data != nullptr) Weigh(call, view, q, heads, scale, sums, probs);
    return call.Nothing();
  }
  WnAttentionAnyParams params = AnyParams(list, view, q, query_len, heads, scale, soft_cap, sliding_window);
  params.list = scope;
  params.indices = reads.indices.as<int32_t>();
  params.index_lens = reads.lens.as<int32_t>();
  params.index_stride = scope == WN_LIST_NONE ? 0 : static_cast<int32_t>(reads.indices.dim(2));
  params.page_size = page;
  params.out = out.data;
  params.lse = lse.as<float>();
  params.probs = probs.as<float>();
  if (probs.data != nullptr) params.max_slots = probs.dim(2);
  AttendAny(call, params);
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"attendPrefill", Prefill}, {"attendDecode", Decode}});
});

}  // namespace

}  // namespace winnow::gpu
