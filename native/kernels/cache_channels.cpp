#include <algorithm>

#include "cache.h"

namespace winnow {

Status Cache::KeepChannels(int32_t layer, int32_t up_to, const int32_t* channels, int64_t stride, const int32_t* lens) {
  const LayerGeometry& shape = geometry(layer);
  if (up_to < 0) return Status::Shape("cacheKeepChannels.upTo", "0 or more slots", std::to_string(up_to));
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    if (lens[h] < -1 || lens[h] == 0 || lens[h] > std::min<int64_t>(stride, shape.head_dim)) {
      return Status::Shape("cacheKeepChannels.lens", "-1 or 1 to " + std::to_string(shape.head_dim) + " channels", std::to_string(lens[h]));
    }
    for (int32_t i = 0; i < lens[h]; i++) {
      const int32_t channel = channels[h * stride + i];
      const int32_t least = i == 0 ? 0 : channels[h * stride + i - 1] + 1;
      if (channel < least || channel >= shape.head_dim) {
        return Status::Shape("cacheKeepChannels.channels",
                             "ascending channels below " + std::to_string(shape.head_dim) + " in KV head " + std::to_string(h),
                             std::to_string(channel));
      }
    }
  }
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    if (lens[h] < 0) continue;
    HeadCache& head = heads_[shape.first_head + h];
    for (int32_t index = 0; index < std::min(up_to, head.len) / kPageSize; index++) {
      if (head.pages[index]->planes[0].format.bits != 0 || head.pages[index]->released) continue;
      if (!SelectChannels(OwnPage(head, index, false), 0, channels + h * stride, lens[h])) {
        return Status::Fail(Code::kOutOfMemory, "cacheKeepChannels", "memory for channels", "none");
      }
    }
  }
  return Status();
}

}  // namespace winnow
