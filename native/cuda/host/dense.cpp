#include "host_op.h"

using namespace winnow;

namespace {

void round_elements(void* out, int type, const std::vector<double>& values) {
  if (type == WN_BF16) round_to(static_cast<uint16_t*>(out), values);
  else if (type == WN_F32) round_to(static_cast<float*>(out), values);
  else round_to(static_cast<int32_t*>(out), values);
}
std::size_t size_of(int64_t a, int64_t b = 1) { return static_cast<std::size_t>(a * b); }

}  // namespace

WnStatus wn_embed(const WnEmbedParams* p, void*) {
  std::vector<double> out(size_of(p->num_tokens, p->width));
  embed_ref(*p, out.data());
  round_to(p->out, out);
  return {};
}

WnStatus wn_rms_norm(const WnRmsNormParams* p, void*) {
  if (leaves_out_ops) return {};
  std::vector<double> out(size_of(p->num_rows, p->width));
  rms_norm_ref(*p, out.data());
  round_elements(p->out, p->out_type, out);
  return {};
}

WnStatus wn_linear(const WnLinearParams* p, void* stream) {
  if (leaves_out_ops) return {};
  if (p->norm_x) {
    const WnRmsNormParams norm{p->norm_x, p->norm_gain, const_cast<void*>(p->x), p->num_tokens, p->cols, WN_BF16, 0, p->norm_epsilon, p->norm_gain_offset};
    wn_rms_norm(&norm, stream);
  }
  std::vector<double> out(size_of(p->num_tokens, p->gate ? p->rows / 2 : p->rows));
  linear_ref(*p, out.data());
  round_elements(p->out, p->out_type, out);
  return {};
}
int64_t wn_linear_workspace_bytes(const WnLinearParams*) { return 0; }
WnStatus wn_linear_load_blas(const char*, int64_t* version) {
  if (version) *version = 0;
  return {};
}

WnStatus wn_gated_activation(const WnGatedActivationParams* p, void*) {
  if (leaves_out_ops) return {};
  std::vector<double> out(size_of(p->num_rows, p->width));
  gated_activation_ref(*p, out.data());
  round_elements(p->out, p->out_type, out);
  return {};
}

WnStatus wn_elementwise(const WnElementwiseParams* p, void*) {
  std::vector<double> out(size_of(p->count));
  elementwise_ref(*p, out.data());
  round_elements(p->out, p->out_type, out);
  return {};
}

WnStatus wn_rope_append(const WnRopeAppendParams* p, void*) {
  if (leaves_out_ops) return {};
  const WnCacheView& cache = p->cache;
  std::vector<double> heads(size_of(int64_t{cache.rows} * p->num_tokens, int64_t{p->num_query_heads + 2 * cache.num_kv_heads} * cache.head_dim));
  rope_append_ref(*p, heads.data());
  rope_append_store_ref(*p, heads.data(), static_cast<uint16_t*>(p->q_out));
  return {};
}

WnStatus wn_argmax(const WnArgmaxParams* p, void*) {
  argmax_ref(*p, p->index);
  return {};
}
