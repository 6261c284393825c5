/// Which slots a row and KV head reads in decode, as pure functions: the kernel and the host tests run the same code.
///
/// Visited pages are numbered from 0 and count as whole, but that with reads_own the slots are counted exactly. Lists ascend,
/// so that only the last page visited is short.
#ifndef WINNOW_CUDA_DECODE_SELECTION_H
#define WINNOW_CUDA_DECODE_SELECTION_H

#include "index.h"
#include "winnow_cuda/decode_attention.h"

namespace winnow {

struct DecodeSelection {
  const int32_t* kv_lens;
  const int32_t* selected;
  const int32_t* selected_lens;
  int32_t selected_stride, heads_per_list;
  int32_t selection;  ///< WN_SELECT_*
  int32_t page_size;  ///< slots of an entry: 16, 32, 64, or 1
  int32_t reads_own;

  WN_HD int64_t list(int segment) const { return segment / heads_per_list; }
  WN_HD const int32_t* entries(int segment) const { return selected + list(segment) * selected_stride; }
  /// How many slots a segment visits, those of a short last page too unless reads_own.
  WN_HD int operator()(int segment) const {
    const int slots = kv_lens[segment];
    if (selection == WN_SELECT_ALL) return slots;
    int len = selected_lens[list(segment)];
    if (!reads_own) return len * page_size;
    if (len < 0) return slots;
    if (len == 0) return 0;
    const int32_t* own = entries(segment);
    int last = own[len - 1];
    while (static_cast<int64_t>(last) * page_size >= slots) {  // entries past the end read nothing
      if (--len == 0) return slots > 0 ? 1 : 0;
      last = own[len - 1];
    }
    const int missing = (last + 1) * page_size - slots;
    return len * page_size - (missing > 0 ? missing : 0) + (missing < 0 ? 1 : 0);
  }
  /// First slot of the i-th page that a segment with these entries visits, `visited` of its `slots`. With reads_own, one slot alone at
  /// the end is the last slot of all, listed or not; then this is that slot, wherever in its page it lies.
  WN_HD int first_slot(const int32_t* own, int i, int visited, int slots) const {
    if (selection == WN_SELECT_ALL || (reads_own && visited == slots)) return i * page_size;
    if (reads_own && i * page_size == visited - 1) return slots - 1;
    return own[i] * page_size;
  }
};

}  // namespace winnow

#endif
