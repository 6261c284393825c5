#include <algorithm>

#include "attend_tile.h"
#include "numerics.h"
#include "pool.h"

namespace winnow {

RowReader::RowReader(const EntryList& list, int32_t what, int32_t capacity)
    : list_(list), what_(what), dim_(list.head->pages[0]->dims[what]), capacity_(capacity) {}

/// `count` rows of a quantised plane from `slot` on, in the page's element type, as rows `at` and following of the scratch.
const void* RowReader::Dequantise(const Page& page, int32_t slot, int32_t count, int32_t at) {
  if (values_ == nullptr) {
    const size_t items = static_cast<size_t>(capacity_) * dim_;
    // Keys and values of a block may be wanted together: each has its half of the scratch.
    auto* memory = static_cast<uint8_t*>(Pool::Scratch(2, static_cast<size_t>(kKeyBlock) * kMaxHeadDim * 2 * 6));
    if (memory == nullptr) return nullptr;
    memory += static_cast<size_t>(what_) * kKeyBlock * kMaxHeadDim * 6;
    values_ = reinterpret_cast<float*>(memory);
    halves_ = reinterpret_cast<uint16_t*>(memory + items * sizeof(float));
  }
  float* values = values_ + static_cast<int64_t>(at) * dim_;
  ReadRows(page, what_, slot, count, values, dim_);
  if (page.element == DType::kF32) return values;
  uint16_t* halves = halves_ + static_cast<int64_t>(at) * dim_;
  for (int32_t i = 0; i < count * dim_; i++) halves[i] = ToBf16(values[i]);
  return halves;
}

bool RowReader::Read(int32_t first, int32_t count, const void** rows) {
  int32_t i = 0;
  while (i < count) {
    const int32_t slot = list_.SlotOf(first + i);
    const Page& page = *list_.head->pages[slot / kPageSize];
    const int32_t within = slot % kPageSize;
    // Dense lists and listed pages run on within a page of the cache.
    int32_t run = 1;
    if (list_.is_dense()) run = std::min(count - i, kPageSize - within);
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
  RowReader reader(list, what, kPanel);
  if (!reader.Read(first, count, rows)) return false;
  const int32_t dim = list.head->pages[0]->dims[what];
  (what == 0 ? kernels.pack_keys : kernels.pack_values)(rows, count, dim, out);
  return true;
}

}  // namespace winnow
