/// Naive references on the host in f64: the same params with host pointers, bf16 read exactly, results as doubles.
/// They define what the kernels must compute and are never made faster. Params are assumed valid.
#ifndef WINNOW_CUDA_REFERENCE_H
#define WINNOW_CUDA_REFERENCE_H

#include <bit>
#include <cstdint>
#include <vector>

#include "winnow_cuda.h"

namespace winnow {

inline double bf16_value(const void* data, int64_t i) {
  return std::bit_cast<float>(static_cast<uint32_t>(static_cast<const uint16_t*>(data)[i]) << 16);
}
/// Round to nearest, ties to even, as the device does.
inline uint16_t to_bf16(double x) {
  const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}
double half_value(uint16_t bits);

/// `out` laid out as in the contract, `lse` may be null.
void prefill_attention_ref(const WnPrefillAttentionParams& p, double* out, double* lse);
/// Whether query row `row` of query head `head` sees key `column`.
bool prefill_visible(const WnPrefillAttentionParams& p, int head, int row, int column);
/// `lse` and `probs` may be null.
void attention_any_ref(const WnAttentionAnyParams& p, double* out, double* lse, double* probs);
void decode_attention_ref(const WnDecodeAttentionParams& p, double* out, double* lse);
void decode_attention_int4_ref(const WnDecodeAttentionInt4Params& p, double* out, double* lse);
void window_scores_ref(const WnWindowScoresParams& p, double* scores);
void top_k_ref(const WnTopKParams& p, int32_t* indices, int32_t* counts);
void kv_quantise_ref(const WnKvQuantiseParams& p, uint8_t* quantised);
void gather_compact_ref(const WnGatherCompactParams& p, uint16_t* target, float* target_bias);
void cache_write_ref(const WnCacheWriteParams& p, uint16_t* pages);
void lse_merge_ref(const WnLseMergeParams& p, double* out, double* lse);
/// `residual` receives the rounded sum where p.residual is not null.
void rms_norm_ref(const WnRmsNormParams& p, double* out, uint16_t* residual);
/// `out` has num_tokens * num_heads * head_dim values.
void rope_ref(const WnRopeParams& p, double* out);
void swiglu_ref(const WnSwigluParams& p, double* out);
void argmax_ref(const WnArgmaxParams& p, int32_t* index);
void cache_read_ref(const WnCacheReadParams& p, double* out);
/// Writes into p.cache itself.
void cache_insert_ref(const WnCacheInsertParams& p);
void random_normal_ref(const WnRandomNormalParams& p, double* out);

}  // namespace winnow

#endif
