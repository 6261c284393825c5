#include "step_graphs.h"

#include <algorithm>
#include <cstdlib>

#include "device.h"

namespace winnow::gpu {

namespace {

/// Lens alternate between two places, so a batch has two lists; a few batches may take turns.
constexpr size_t kRemembered = 8;
/// Fewer ops are not worth a graph.
constexpr size_t kLeast = 8;
constexpr size_t kAlignment = 16;
/// MB: what a device reads while the host puts a step together, with plenty to spare.
constexpr int64_t kHeadStart = 3072;

}  // namespace

void OpList::Add(const char* op, Run run, const void* params, size_t bytes) {
  const size_t at = params_.size();
  ops_.push_back({op, run, at});
  params_.resize(at + (bytes + kAlignment - 1) / kAlignment * kAlignment);
  std::memcpy(params_.data() + at, params, bytes);
}

Status OpList::Issue(void* stream) const {
  for (const Op& op : ops_) WINNOW_TRY(FromWn(op.run(params_.data() + op.at, stream), op.name));
  return {};
}

bool OpList::operator==(const OpList& other) const {
  return params_ == other.params_ && std::equal(ops_.begin(), ops_.end(), other.ops_.begin(), other.ops_.end(), [](const Op& a, const Op& b) {
           return a.run == b.run && a.at == b.at;
         });
}

bool StepGraphs::Notes(int64_t weight_bytes) {
  if (head_start_ < 0) return false;
  if (has_noted() || started_ >= head_start_) return true;
  started_ += weight_bytes;
  return false;
}

Status StepGraphs::Settle(void* stream, GraphMaker& maker, int64_t* launches) {
  OpList list;
  std::swap(list, noted_);
  if (list.size() < kLeast) return list.Issue(stream);
  auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& known) { return known.list == list; });
  if (found == known_.end()) {
    if (known_.size() >= kRemembered) known_.pop_back();
    Status status = list.Issue(stream);
    if (status.ok()) known_.push_front({.list = std::move(list)});
    return status;
  }
  known_.splice(known_.begin(), known_, found);
  if (found->graph == nullptr && !found->is_refused) found->is_refused = !maker.Capture(found->list, &found->graph).ok();
  if (found->graph == nullptr) return list.Issue(stream);
  ++*launches;
  return found->graph->Launch();
}

int64_t HeadStartOfGraphs() {
  const char* text = std::getenv("WINNOW_CUDA_GRAPHS");
  if (text == nullptr) return kHeadStart;
  if (std::strcmp(text, "off") == 0) return -1;
  return std::max(0, std::atoi(text));
}

}  // namespace winnow::gpu
