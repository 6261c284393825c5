#include <algorithm>

#include "attend_tile.h"
#include "numerics.h"
#include "pool.h"

namespace winnow {
namespace {

/// Reads quantised slots back into scratch rows of the element type.
struct RowReader {
  int32_t what;
  uint8_t* rows = nullptr;   ///< [64][dim] elements
  float* values = nullptr;   ///< [64][dim]
  const Page* whole = nullptr;

  /// A row of `page`; when the panel is one page, all 64 rows are read back at once.
  const void* Row(const Page& page, int32_t slot, int32_t at, bool is_aligned) {
    const int32_t dim = page.dims[what];
    const Plane& plane = page.planes[what];
    const size_t bytes = static_cast<size_t>(dim) * SizeOf(page.element);
    if (plane.format.bits == 0) return plane.data + slot * bytes;
    if (rows == nullptr) {
      values = static_cast<float*>(Pool::Scratch(2, static_cast<size_t>(kPanel) * kMaxHeadDim * (sizeof(float) + 4)));
      if (values == nullptr) return nullptr;
      rows = reinterpret_cast<uint8_t*>(values + kPanel * kMaxHeadDim);
    }
    if (is_aligned) {
      if (whole != &page) {
        ReadRows(page, what, 0, kPanel, values, dim);
        if (page.element == DType::kBf16) Convert(0, kPanel * dim);
        whole = &page;
      }
      return page.element == DType::kBf16 ? rows + slot * bytes : reinterpret_cast<uint8_t*>(values) + slot * bytes;
    }
    ReadRows(page, what, slot, 1, values + at * dim, dim);
    if (page.element == DType::kBf16) Convert(at * dim, dim);
    return page.element == DType::kBf16 ? rows + at * bytes : reinterpret_cast<uint8_t*>(values) + at * bytes;
  }

 private:
  void Convert(int32_t first, int32_t count) {
    Bf16* to = reinterpret_cast<Bf16*>(rows) + first;
    for (int32_t i = 0; i < count; i++) to[i] = ToBf16(values[first + i]);
  }
};

}  // namespace

bool PackPanel(const EntryList& list, const AttendKernels& kernels, int32_t what, int32_t panel, void* out) {
  const void* rows[kPanel];
  const int32_t first = panel * kPanel;
  const int32_t count = std::min(kPanel, list.size() - first);
  RowReader reader{.what = what};
  const bool is_aligned = list.is_dense();
  for (int32_t i = 0; i < count; i++) {
    const int32_t slot = list.SlotOf(first + i);
    rows[i] = reader.Row(*list.head->pages[slot / kPageSize], slot % kPageSize, i, is_aligned);
    if (rows[i] == nullptr) return false;
  }
  const int32_t dim = list.head->pages[0]->dims[what];
  (what == 0 ? kernels.pack_keys : kernels.pack_values)(rows, count, dim, out);
  return true;
}

}  // namespace winnow
