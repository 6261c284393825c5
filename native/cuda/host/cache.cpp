#include "host_op.h"

using namespace winnow;

WnStatus wn_cache_read(const WnCacheReadParams* params, void*) {
  const WnCacheReadParams& p = *params;
  const bool is_wide = p.what <= WN_READ_VALUES;
  std::vector<double> values(static_cast<std::size_t>(p.cache.rows) * p.cache.num_kv_heads * p.max_len * (is_wide ? p.cache.head_dim : 1));
  cache_read_ref(p, values.data());
  if (p.what <= WN_READ_BIAS) round_to(static_cast<float*>(p.out), values);
  else round_to(static_cast<int32_t*>(p.out), values);
  return {};
}

WnStatus wn_cache_insert(const WnCacheInsertParams* params, void*) {
  cache_insert_ref(*params);
  return {};
}

WnStatus wn_page_convert(const WnPageConvertParams* params, void*) {
  page_convert_ref(*params);
  return {};
}

WnStatus wn_gather_compact(const WnGatherCompactParams* params, void*) {
  gather_compact_ref(*params, static_cast<uint16_t*>(params->target), params->target_bias);
  return {};
}
