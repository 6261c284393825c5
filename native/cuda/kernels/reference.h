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
/// Nearest f16, ties to even, for finite values inside the f16 range.
uint16_t to_half(double x);
/// Element i of data of a type WN_*.
inline double element_value(const void* data, int64_t i, int type) {
  if (type == WN_I32) return static_cast<const int32_t*>(data)[i];
  return type == WN_F32 ? static_cast<const float*>(data)[i] : bf16_value(data, i);
}
/// Slot of the arena (page * 64 + place) of a slot of list (row, head), and the element where its key or value begins.
inline int64_t arena_slot(const WnCacheView& cache, int64_t list, int slot) {
  return int64_t{cache.page_table[list * cache.page_table_stride + slot / 64]} * 64 + slot % 64;
}
inline int64_t arena_element(const WnCacheView& cache, int64_t slot, int what) {
  return (slot / 64 * 128 + 64 * what + slot % 64) * cache.head_dim;
}

/// `out` laid out as in the contract, `lse` may be null.
void prefill_attention_ref(const WnPrefillAttentionParams& p, double* out, double* lse);
/// Whether query row `row` of query head `head` sees key `column`.
bool prefill_visible(const WnPrefillAttentionParams& p, int head, int row, int column);
/// `lse` and `probs` may be null.
void attention_any_ref(const WnAttentionAnyParams& p, double* out, double* lse, double* probs);
void attention_probs_ref(const WnAttentionProbsParams& p, double* probs);
/// Writes to p.counts, p.seen and p.results too.
void attend_sets_ref(const WnAttendSetsParams& p, double* out, double* lse);
/// Adds to `state`, which is as wide as the contract says.
void column_stats_ref(const WnColumnStatsParams& p, double* state);
void finish_column_stats_ref(const WnFinishColumnStatsParams& p, double* out);
void decode_attention_ref(const WnDecodeAttentionParams& p, double* out, double* lse);
void decode_packed_ref(const WnDecodePackedParams& p, double* out, double* lse);
void window_scores_ref(const WnWindowScoresParams& p, double* scores);
void top_k_ref(const WnTopKParams& p, int32_t* indices, int32_t* lens);
/// Number (slot, channel) of a plane of a page.
double packed_value(const WnPlaneFormat& plane, const uint8_t* codes, const uint8_t* params, int width, int slot, int channel);
/// The same by the page's number in its format.
double page_value(const WnPageFormat& format, int64_t page, int what, int head_dim, int head_dim_v, int slot, int channel);
/// Writes into the pages of p (host pointers).
void page_convert_ref(const WnPageConvertParams& p);
void gather_compact_ref(const WnGatherCompactParams& p, uint16_t* target, float* target_bias);
/// Moves inside p.cache itself.
void compact_slots_ref(const WnCompactSlotsParams& p);
void cache_write_ref(const WnCacheWriteParams& p, uint16_t* pages);
void lse_merge_ref(const WnLseMergeParams& p, double* out, double* lse);
void embed_ref(const WnEmbedParams& p, double* out);
/// Results hold what p.out held before where the call adds to it.
void linear_ref(const WnLinearParams& p, double* out);
double gated_value(double gate, double up, int kind);
void gated_activation_ref(const WnGatedActivationParams& p, double* out);
void rms_norm_ref(const WnRmsNormParams& p, double* out);
void elementwise_ref(const WnElementwiseParams& p, double* out);
/// Heads after norm and rotation: [rows * num_tokens, num_query_heads + 2 * num_kv_heads, head_dim].
void rope_append_ref(const WnRopeAppendParams& p, double* heads);
/// Rounds such heads to q_out and into the cache of p (host pointers).
void rope_append_store_ref(const WnRopeAppendParams& p, const double* heads, uint16_t* q_out);
void slot_norms_ref(const WnSlotNormsParams& p, double* norms);
void block_summary_ref(const WnBlockSummaryParams& p, double* summary);
void block_scores_ref(const WnBlockScoresParams& p, double* scores);
void channel_scores_ref(const WnChannelScoresParams& p, double* scores);
void plane_scores_ref(const WnPlaneScoresParams& p, double* scores);
void project_slots_ref(const WnProjectSlotsParams& p, double* out);
void project_queries_ref(const WnProjectQueriesParams& p, double* out);
void pairwise_cosine_ref(const WnPairwiseCosineParams& p, double* out);
void random_scores_ref(const WnRandomScoresParams& p, float* scores);
void list_values_ref(const WnListValuesParams& p, double* out);
/// Writes to p.out and p.out_lens (host pointers).
void list_moves_ref(const WnListMovesParams& p);
int lists_after_ref(int gqa, int num_query_heads, int num_kv_heads);
/// Lists of scores from those of all query heads, each as long as the first.
void reduce_lists_ref(const std::vector<std::vector<double>>& heads, int gqa, int num_kv_heads, double* out);
void rope_ref(const WnRopeParams& p, double* out);
void argmax_ref(const WnArgmaxParams& p, int32_t* index);
void cache_read_ref(const WnCacheReadParams& p, double* out);
/// Writes into p.cache itself.
void cache_insert_ref(const WnCacheInsertParams& p);
/// Edits work on p.cache itself, the checks on p.report.
void cache_merge_check_ref(const WnCacheMergeParams& p);
void cache_merge_ref(const WnCacheMergeParams& p);
void cache_rotate_check_ref(const WnCacheRotateParams& p);
void cache_rotate_ref(const WnCacheRotateParams& p);
void top_p_ref(const WnTopPParams& p, int32_t* indices, int32_t* lens);
void quantise_round_trip_ref(const WnQuantiseRoundTripParams& p, double* out);
void k_means_ref(const WnKMeansParams& p, double* centroids, int32_t* assignment, int32_t* sizes);
void group_means_ref(const WnGroupMeansParams& p, double* means);
void random_normal_ref(const WnRandomNormalParams& p, double* out);

}  // namespace winnow

#endif
