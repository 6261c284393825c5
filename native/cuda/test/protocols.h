/// Runs of the Hopper kernels on one emulated multiprocessor, recorded.
#ifndef WINNOW_CUDA_TEST_PROTOCOLS_H
#define WINNOW_CUDA_TEST_PROTOCOLS_H

#include <string>
#include <vector>

#include "explore.h"

namespace winnow::test {

struct RecordedRun {
  std::string name;
  std::vector<Event> events;
  bool is_planted = false;  ///< a fault was planted: the exploration must find it
};
std::vector<RecordedRun> prefill_runs();
std::vector<RecordedRun> union_runs();
std::vector<RecordedRun> decode_runs();
std::vector<RecordedRun> wide_runs();

}  // namespace winnow::test

#endif
