/// Queries that read one block of the same entries, be they of one row or of several: what attention is made of.
///
/// The block is packed into scratch (gathered through page tables, quantised pages read back) and given to the kernels of
/// attend_block.h in groups of six queries; few queries read it where it lies. Panels that no query of a group sees are
/// neither packed nor multiplied.
#pragma once

#include "attend_job.h"

namespace winnow {

/// One query of a job and the state that takes the block in.
struct BlockQuery {
  const AttendJob* job;
  int32_t head;
  int32_t token;
  float* m;
  float* l;
  float* o;
};

/// `count` >= 1 queries; all their lists have the same pages and entries in this block.
struct BlockTask {
  const BlockQuery* queries;
  int32_t count;
  int32_t block;
};

/// Adds the block to each query's state. `next` is what this thread is likely to do afterwards, or null: its first bytes are
/// asked for early. Uses Pool::Scratch slots 1 and 2 of the calling thread. False: out of memory.
bool AttendTask(const BlockTask& task, const BlockTask* next);

/// Whether two jobs read the same pages in a block, all of whose entries both have.
bool SharesBlock(const AttendJob& a, const AttendJob& b, int32_t block);

}  // namespace winnow
