#include "caches.h"
#include "winnow_cuda/rope_append.h"

namespace winnow::gpu {

namespace {

napi_value RopeAppend(Call& call) {
  const CacheList list = CachesOf(call, 4, 5, true);
  const LayerGeometry& shape = list.geometry();
  const int64_t heads = call.Int(3, "numQueryHeads", 1, 1 << 20);
  const Tensor qkv = call.FloatTensor(0, "qkv", {-1, (heads + 2 * shape.num_kv_heads) * shape.head_dim});
  const int64_t tokens = qkv.dim(0);
  if (tokens % list.rows() != 0 || tokens > (1 << 30)) {
    call.Refuse("qkv", "a multiple of " + std::to_string(list.rows()) + " rows", std::to_string(tokens));
  }
  const Tensor positions = call.TensorOf(1, "positions", DType::kI32, {tokens});
  const Tensor cos_sin = call.TensorOf(2, "cosSin", DType::kF32, {-1, -1});
  const Tensor q_norm = call.OptionalTensor(7, "qNorm", DType::kF32, {shape.head_dim});
  const Tensor k_norm = call.OptionalTensor(8, "kNorm", DType::kF32, {shape.head_dim});
  const Tensor q_out = call.TensorOf(10, "qOut", DType::kBf16, {tokens, heads * shape.head_dim});
  if (cos_sin.dim(1) % 2 != 0 || cos_sin.dim(1) > shape.head_dim) {
    call.Refuse("cosSin", "an even number of at most " + std::to_string(shape.head_dim) + " columns", std::to_string(cos_sin.dim(1)));
  }
  for (size_t row = 1; row < list.ids.size(); row++)
    for (size_t other = 0; other < row; other++)
      if (list.ids[row] == list.ids[other]) call.Refuse("caches", "each cache once", "cache " + std::to_string(list.ids[row]) + " twice");
  if (tokens == 0) return call.Nothing();
  const auto of_row = static_cast<int32_t>(tokens / list.rows());
  call.Check(EngineOf(call).caches.Grow(list.caches, list.layer, of_row));
  CountPages(call);
  const WnRopeAppendParams params{.qkv = qkv.data,
                                  .positions = positions.as<int32_t>(),
                                  .cos_sin = cos_sin.as<float>(),
                                  .q_norm = q_norm.as<float>(),
                                  .k_norm = k_norm.as<float>(),
                                  .q_out = q_out.data,
                                  .cache = ViewOf(call, list, of_row),
                                  .num_tokens = of_row,
                                  .num_query_heads = static_cast<int32_t>(heads),
                                  .rope_dims = static_cast<int32_t>(cos_sin.dim(1)),
                                  .qkv_type = qkv.dtype == DType::kF32 ? WN_F32 : WN_BF16,
                                  .pre_rope_keys = call.Flag(6, "preRopeKeys"),
                                  .epsilon = static_cast<float>(call.Number(9, "eps"))};
  IssueOfStep<wn_rope_append>(call, params);
  return call.Nothing();
}

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime, {{"ropeAppend", RopeAppend}});
});

}  // namespace

}  // namespace winnow::gpu
