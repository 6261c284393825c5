/// Attention of stacked queries over a list of cache entries, block by block in ascending order: what prefill and decode share.
#pragma once

#include "attend_task.h"

namespace winnow {

/// State of tokens [first, last) of every head of a job: m, l [rows], o [rows][value_stride], rows = heads * tokens.
struct AttendState {
  float* m;
  float* l;
  float* o;
};
inline int64_t StateFloats(int64_t rows, int32_t value_stride) { return rows * (value_stride + 2); }
AttendState StateAt(float* memory, int64_t rows, int32_t value_stride);
void ResetState(const AttendState& state, int64_t rows, int32_t value_stride);

/// Adds blocks [first_block, last_block) to the state of tokens [first, last).
/// Uses Pool::Scratch slots 1 and 2 of the calling thread, and kept memory. False: out of memory.
bool AttendBlocks(const AttendJob& job, int32_t first, int32_t last, int32_t first_block, int32_t last_block,
                  const AttendState& state);
/// Writes out and lse of tokens [first, last); a row that saw nothing gives 0 and -inf.
void FinishTokens(const AttendJob& job, int32_t first, int32_t last, const AttendState& state);

/// Tokens [first, last) of a job from start to end, blocks in order. Uses Scratch slot 0 too. False: out of memory.
bool AttendTile(const AttendJob& job, int32_t first, int32_t last);

}  // namespace winnow
