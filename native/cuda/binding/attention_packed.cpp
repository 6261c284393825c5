#include "attention_packed.h"

#include <algorithm>

#include "winnow_cuda/decode_packed.h"

namespace winnow::gpu {

bool DecodePacked(Call& call, const CacheList& list, const Tensor& q, int32_t heads, float scale, const Tensor& out, float* lse) {
  int32_t number = kNoFormat;
  for (Cache* cache : list.caches) {
    const int32_t own = cache->PackedFormat(list.layer);
    if (cache->has_bias(list.layer) || (number >= 0 && own >= 0 && own != number) || own == kManyFormats) return false;
    number = std::max(number, own);
  }
  if (number == kNoFormat || heads / list.geometry().num_kv_heads > 8) return false;
  CacheStore& caches = EngineOf(call).caches;
  WnDecodePackedParams params{.q = q.data, .format = caches.pools().packed(number).format(), .out = out.data, .lse = lse,
                              .num_query_heads = heads, .softmax_scale = scale};
  if (!wn_decode_packed_takes(&params.format.planes[0], &params.format.planes[1], list.geometry().head_dim)) return false;
  call.Check(caches.PackedView(list.caches, list.ids, list.layer, 0, &params.cache));
  params.workspace_bytes = wn_decode_packed_workspace_bytes(&params);
  std::byte* workspace = nullptr;
  call.Check(EngineOf(call).Workspace("decode_packed", static_cast<size_t>(params.workspace_bytes), &workspace));
  params.workspace = workspace;
  IssueOfStep<wn_decode_packed>(call, params);
  return true;
}

}  // namespace winnow::gpu
