#include "attend_tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "exact_log.h"
#include "pool.h"

namespace winnow {

AttendState StateAt(float* memory, int64_t rows, int32_t value_stride) {
  return {memory + rows * value_stride, memory + rows * value_stride + rows, memory};
}

void ResetState(const AttendState& state, int64_t rows, int32_t value_stride) {
  std::fill(state.m, state.m + rows, -INFINITY);
  std::memset(state.l, 0, static_cast<size_t>(rows) * sizeof(float));
  std::memset(state.o, 0, static_cast<size_t>(rows) * value_stride * sizeof(float));
}

bool AttendBlocks(const AttendJob& job, int32_t first, int32_t last, int32_t first_block, int32_t last_block,
                  const AttendState& state) {
  static thread_local std::vector<BlockQuery> queries;
  const int32_t stride = job.value_stride();
  const int32_t tokens = last - first;
  queries.clear();
  for (int32_t head = 0; head < job.num_heads; head++) {
    for (int32_t t = 0; t < tokens; t++) {
      const int64_t row = int64_t{head} * tokens + t;
      queries.push_back({&job, head, first + t, state.m + row, state.l + row, state.o + row * stride});
    }
  }
  BlockTask task{queries.data(), static_cast<int32_t>(queries.size()), first_block};
  for (; task.count > 0 && task.block < last_block; task.block++) {
    const BlockTask next{task.queries, task.count, task.block + 1};
    if (!AttendTask(task, next.block < last_block ? &next : nullptr)) return false;
  }
  return true;
}

void FinishTokens(const AttendJob& job, int32_t first, int32_t last, const AttendState& state) {
  const int32_t stride = job.value_stride();
  const int32_t tokens = last - first;
  const int64_t element = static_cast<int64_t>(SizeOf(job.element));
  for (int32_t row = 0; row < job.num_heads * tokens; row++) {
    const int32_t head = row / tokens;
    const int32_t token = first + row % tokens;
    const float l = state.l[row];
    const float inverse = l > 0.0f ? 1.0f / l : 0.0f;
    const int64_t at = token * job.out_token_stride + int64_t{head} * job.head_dim_v;
    const float* o = state.o + int64_t{row} * stride;
    if (job.out_f32) {
      float* out = reinterpret_cast<float*>(job.out) + at;
      for (int32_t c = 0; c < job.head_dim_v; c++) out[c] = o[c] * inverse;
    } else {
      job.kernels->finish(o, job.head_dim_v, inverse, job.out + at * element);
    }
    if (job.lse != nullptr) {
      const float m = state.m[row] / job.kernels->log_unit;
      job.lse[token * job.lse_token_stride + head] = l > 0.0f ? m + ExactLog(l) : -INFINITY;
    }
  }
}

bool AttendTile(const AttendJob& job, int32_t first, int32_t last) {
  const int64_t rows = int64_t{job.num_heads} * (last - first);
  const int32_t stride = job.value_stride();
  auto* memory = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(StateFloats(rows, stride)) * sizeof(float)));
  if (memory == nullptr) return false;
  const AttendState state = StateAt(memory, rows, stride);
  ResetState(state, rows, stride);
  int32_t visible = 0;
  for (int32_t t = first; t < last; t++) visible = std::max(visible, job.VisibleAt(t));
  const int32_t blocks = std::min(job.list.num_blocks(), (visible + kKeyBlock - 1) / kKeyBlock);
  if (!AttendBlocks(job, first, last, 0, blocks, state)) return false;
  FinishTokens(job, first, last, state);
  return true;
}

}  // namespace winnow
