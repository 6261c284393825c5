#include <algorithm>

#include "attend_job.h"
#include "pool.h"
#include "quantise.h"

namespace winnow {

RowReader::RowReader(const EntryList& list, int32_t what)
    : list_(list), what_(what), dim_(list.head->pages[0]->dims[what]) {}

/// `count` rows of a quantised plane from `slot` on, in the page's element type, as rows `at` and following of the scratch.
const void* RowReader::Dequantise(const Page& page, int32_t slot, int32_t count, int32_t at) {
  const int64_t bytes = int64_t{dim_} * static_cast<int64_t>(SizeOf(page.element));
  if (rows_ == nullptr) {
    // Keys and values of a block may be wanted together: each has its half of the scratch.
    constexpr size_t half = size_t{kKeyBlock} * kMaxHeadDim * sizeof(float);
    auto* memory = static_cast<uint8_t*>(Pool::Scratch(2, 2 * half));
    if (memory == nullptr) return nullptr;
    rows_ = memory + what_ * half;
  }
  const Plane& plane = page.planes[what_];
  const QuantisedView view = ViewQuantised(plane, dim_);
  DequantiseRows({.codes = view.codes,
                  .scales = view.scales,
                  .minima = view.minima,
                  .dim = dim_,
                  .format = plane.format,
                  .first = slot,
                  .count = count,
                  .stride = dim_},
                 page.element, rows_ + at * bytes);
  return rows_ + at * bytes;
}

bool RowReader::Read(int32_t first, int32_t count, const void** rows) {
  if (what_ == 0 && list_.keys != nullptr) {
    const int64_t bytes = int64_t{dim_} * static_cast<int64_t>(SizeOf(list_.head->pages[0]->element));
    for (int32_t k = 0; k < count; k++) rows[k] = list_.keys + (first + k) * bytes;
    return true;
  }
  int32_t i = 0;
  while (i < count) {
    const int32_t slot = list_.SlotOf(first + i);
    const Page& page = *list_.head->pages[slot / kPageSize];
    const int32_t within = slot % kPageSize;
    const int32_t run = list_.RunAt(first + i, slot, count - i);
    const int64_t bytes = int64_t{dim_} * static_cast<int64_t>(SizeOf(page.element));
    const void* base = page.planes[what_].format.bits == 0 ? page.planes[what_].data + within * bytes
                                                           : Dequantise(page, within, run, i);
    if (base == nullptr) return false;
    for (int32_t k = 0; k < run; k++) rows[i + k] = static_cast<const uint8_t*>(base) + k * bytes;
    i += run;
  }
  return true;
}

bool PackPanel(const EntryList& list, const AttendKernels& kernels, int32_t what, int32_t panel, void* out) {
  const void* rows[kPanel];
  const int32_t first = panel * kPanel;
  const int32_t count = std::min(kPanel, list.size() - first);
  RowReader reader(list, what);
  if (!reader.Read(first, count, rows)) return false;
  const int32_t dim = list.head->pages[0]->dims[what];
  (what == 0 ? kernels.pack_keys : kernels.pack_values)(rows, count, dim, out);
  return true;
}

}  // namespace winnow
