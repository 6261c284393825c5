#include "../kernels/packed_page.h"
#include "host_op.h"

using namespace winnow;

WnStatus wn_prefill_attention(const WnPrefillAttentionParams* params, void*) {
  if (leaves_out_ops) return {};
  const WnPrefillAttentionParams& p = *params;
  std::vector<double> out(static_cast<std::size_t>(p.query_len) * p.num_query_heads * p.head_dim);
  std::vector<double> lse(p.lse == nullptr ? 0 : static_cast<std::size_t>(p.query_len) * p.num_query_heads);
  prefill_attention_ref(p, out.data(), p.lse == nullptr ? nullptr : lse.data());
  round_to(static_cast<uint16_t*>(p.out), out);
  if (p.lse != nullptr) round_to(p.lse, lse);
  return {};
}

WnStatus wn_decode_attention(const WnDecodeAttentionParams* params, void*) {
  if (leaves_out_ops) return {};
  const WnDecodeAttentionParams& p = *params;
  std::vector<double> out(static_cast<std::size_t>(p.batch) * p.num_query_heads * p.head_dim);
  std::vector<double> lse(p.lse == nullptr ? 0 : static_cast<std::size_t>(p.batch) * p.num_query_heads);
  decode_attention_ref(p, out.data(), p.lse == nullptr ? nullptr : lse.data());
  round_to(static_cast<uint16_t*>(p.out), out);
  if (p.lse != nullptr) round_to(p.lse, lse);
  return {};
}

int64_t wn_decode_attention_workspace_bytes(const WnDecodeAttentionParams*) { return 0; }

WnStatus wn_decode_packed(const WnDecodePackedParams* params, void*) {
  if (leaves_out_ops) return {};
  const WnDecodePackedParams& p = *params;
  const auto rows = static_cast<std::size_t>(p.cache.rows) * p.num_query_heads;
  std::vector<double> out(rows * p.cache.head_dim), lse(p.lse == nullptr ? 0 : rows);
  decode_packed_ref(p, out.data(), p.lse == nullptr ? nullptr : lse.data());
  round_to(static_cast<uint16_t*>(p.out), out);
  if (p.lse != nullptr) round_to(p.lse, lse);
  return {};
}

int64_t wn_decode_packed_workspace_bytes(const WnDecodePackedParams*) { return 0; }

int32_t wn_decode_packed_takes(const WnPlaneFormat* keys, const WnPlaneFormat* values, int32_t head_dim) {
  return decode_packed_takes(*keys, *values, head_dim);
}
