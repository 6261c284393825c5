/// Scores of slots by parts of their keys: some channels, or a projection onto a few directions.
///
/// Every product is billed and read as said: `ChannelScores` touches the listed channels alone, `PlaneScores` the plane of
/// projected keys alone. No softmax scale is applied. Query heads are reduced as in window_scores.h; of several queries a
/// row the largest product counts.
#pragma once

#include "cache.h"
#include "isa.h"
#include "status.h"
#include "window_scores.h"

namespace winnow {

struct ChannelScoresParams {
  const void* q;
  DType q_type;
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t query_len;
  int32_t num_query_heads;
  const int32_t* channels;
  int64_t stride;
  const int32_t* lens;
  /// Lists of channels in a row: 1, num_kv_heads or num_query_heads.
  int32_t lists;
  GqaReduce gqa;
  int64_t max_len;
  float* out;
};

/// score[h, s] = max over t of sum over c in channels(h) of q[t, h, c] . K[s, g, c]
///
/// Shapes    q         [rows, query_len, num_query_heads * head_dim]  f32 or bf16
///           channels  [rows, lists, stride]  int32 ascending; lens [rows, lists], -1 all channels
///           out       [rows, S, max_len]     f32, -inf beyond a head's length
/// Error     f32 relative RMS 1e-6; one sum a score, in channel order: the same bits on every instruction set
/// Cost      channels x slots x query heads multiply-adds, one read of the listed channels of each slot and query head
Status ChannelScores(const Context& context, const ChannelScoresParams& params);
void ChannelScoresRef(const ChannelScoresParams& params, double* out);

struct PlaneScoresParams {
  const void* q;
  DType q_type;
  const float* plane;
  int32_t rows;
  int32_t query_len;
  int32_t num_query_heads;
  int32_t num_kv_heads;
  int32_t width;
  int64_t capacity;
  /// Entries in use of each plane [rows, num_kv_heads].
  const int32_t* used;
  GqaReduce gqa;
  int64_t max_len;
  float* out;
};

/// score[h, s] = max over t of q[t, h] . plane[g, s]: projected keys, centroids, labels.
///
/// Shapes    q      [rows, query_len, num_query_heads * width]      f32 or bf16
///           plane  [rows, num_kv_heads, capacity, width]           f32
///           out    [rows, S, max_len]  f32, -inf from `used` on
/// Limits    width 1 to 4096; used <= capacity, max_len
/// Error     f32 relative RMS 1e-6; 16-lane sums: the same bits on every instruction set
Status PlaneScores(const Context& context, const PlaneScoresParams& params);
void PlaneScoresRef(const PlaneScoresParams& params, double* out);

struct ProjectParams {
  /// Keys (0) or values (1) of `caches`, the last `last` slots of each head (0: all), or rows `x` when caches is null.
  const Cache* const* caches;
  int32_t layer;
  int32_t what;
  const void* x;
  DType x_type;
  int32_t rows;
  /// Heads of x in a row, or KV heads; head h uses basis floor(h / (heads / bases)).
  int32_t heads;
  int32_t bases;
  int32_t dim;
  int32_t rank;
  const float* basis;
  int32_t last;
  int64_t max_len;
  float* out;
};

/// y = basis . x for every slot of a head, or for every head of rows.
///
/// Shapes    x      [rows, heads * dim] f32 or bf16; basis [bases, rank, dim] f32
///           out    from caches: [rows, heads, max_len, rank], 0 beyond a head's length, of the last slots the head's own last;
///                  from x: [rows, heads, rank]
/// Limits    rank 1 to 4096; last <= the shortest head
/// Error     f32 relative RMS 1e-6; 16-lane sums: the same bits on every instruction set
Status Project(const Context& context, const ProjectParams& params);
void ProjectRef(const ProjectParams& params, double* out);

struct SlotScoresKernels {
  /// out[i] = q . rows[i], rows `stride` apart.
  void (*dots)(const float* q, const float* rows, int64_t stride, int64_t count, int32_t dim, float* out);
  /// out[i] = sum over k of q[k] * rows[i][channels[k]], one sum a row.
  void (*gathered_f32)(const float* q, const int32_t* channels, int32_t num_channels, const float* rows, int32_t dim, int32_t count,
                       float* out);
  void (*gathered_bf16)(const float* q, const int32_t* channels, int32_t num_channels, const uint16_t* rows, int32_t dim,
                        int32_t count, float* out);
};
WINNOW_DECLARE_KERNELS(SlotScoresKernels);

}  // namespace winnow
