#include <algorithm>
#include <cmath>
#include <vector>

#include "cache.h"

namespace winnow {

Status Cache::Poison(int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens) {
  WINNOW_TRY(CheckSlots("cachePoison", layer, slots, stride, lens));
  const LayerGeometry& shape = geometry(layer);
  const std::vector<float> nan(static_cast<size_t>(std::max(shape.head_dim, shape.head_dim_v)), std::nanf(""));
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    if (lens[h] < 0) continue;
    HeadCache& head = heads_[shape.first_head + h];
    const int32_t* listed = slots + h * stride;
    const int32_t* end = listed + lens[h];
    for (int32_t index = 0; index < PagesFor(head.len); index++) {
      const int32_t used = UsedSlots(head.len, index);
      const int32_t first = index * kPageSize;
      const int32_t* last = std::lower_bound(listed, end, first + used);
      if (last - listed == used || head.pages[index]->released) {
        listed = last;
        continue;
      }
      Page*& page = head.pages[index];
      Page* own = CopyAsElements(*page, used);
      ReleasePage(page);
      page = own;
      for (int32_t slot = 0; slot < used; slot++) {
        if (listed != last && *listed == first + slot) {
          listed++;
          continue;
        }
        WriteRow(*page, 0, slot, nan.data());
        WriteRow(*page, 1, slot, nan.data());
      }
    }
  }
  return Status();
}

}  // namespace winnow
