#pragma once

#include "cache.h"
#include "isa.h"
#include "status.h"

namespace winnow {

enum class WindowReduce : int32_t { kMean = 0, kSum = 1, kMax = 2, kVariance = 3 };
enum class PoolKind : int32_t { kNone = 0, kAverage = 1, kMax = 2 };
/// Query heads to lists: kNone Hq lists, kMean, kSum and kMax over the group (H lists), kAll the mean of all heads (1 list).
enum class GqaReduce : int32_t { kNone = 0, kMean = 1, kSum = 2, kMax = 3, kAll = 4 };

inline int32_t ListsAfter(GqaReduce gqa, int32_t num_query_heads, int32_t num_kv_heads) {
  return gqa == GqaReduce::kNone ? num_query_heads : gqa == GqaReduce::kAll ? 1 : num_kv_heads;
}

struct WindowScoresParams {
  const void* q;
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t num_query_heads;
  int32_t window;
  float softmax_scale;
  float soft_cap;
  int32_t sliding_window;
  WindowReduce reduce;
  PoolKind pool_kind;
  int32_t pool_size;
  GqaReduce gqa;
  int64_t max_len;
  float* out;
};

/// How much the last `window` queries attend to each slot.
///
///   p[j, h, s] = softmax over s <= own(j) = n - window + j of (cap(softmax_scale * q[j, h] . K[s, g]) + bias[s])
///   score[h, s] = reduce over j of p, pooled over s, reduced over the heads of a group
///
/// cap(x) = soft_cap * tanh(x / soft_cap), x itself where soft_cap is 0. With a sliding window a query sees slots whose position is
/// above its own minus sliding_window; the others have p = 0.
///
/// The variance is that of torch.var (divided by window - 1; 0 for one query). Average pooling counts zero padding, as
/// torch's avg_pool1d does; maximum pooling does not see it.
///
/// Shapes    q    [rows, window, num_query_heads * head_dim]   element type of the caches, rotated
///           out  [rows, S, max_len]                           f32, -inf beyond a head's length; S by gqa
/// Limits    1 <= window <= n of every head; pool_size odd, >= 1; max_len >= every n
/// Error     f32 relative RMS <= 2e-6, bf16 <= 1e-2; reference numerics: the same bits on every instruction set
/// Cost      2 * window * Hq * n * head_dim operations; scratch of one head's keys and six rows of logits a thread
Status WindowScores(const Context& context, const WindowScoresParams& params);
void WindowScoresRef(const WindowScoresParams& params, double* out);

/// Reduces values [num_query_heads][stride] to lists [S][stride] of out.
void ReduceGroups(const float* values, int32_t num_query_heads, int32_t num_kv_heads, int64_t count, int64_t stride,
                  GqaReduce gqa, float* out);

}  // namespace winnow
