/// Where the parts of a packed page lie, and what a page table entry names; see winnow_cuda/page_format.h.
#ifndef WINNOW_CUDA_PACKED_PAGE_H
#define WINNOW_CUDA_PACKED_PAGE_H

#include "index.h"
#include "winnow_cuda/page_format.h"

namespace winnow {

WN_HD bool same_plane(const WnPlaneFormat& a, const WnPlaneFormat& b) {
  return a.bits == b.bits && (a.bits == 0 || (a.group == b.group && a.along == b.along));
}
WN_HD bool is_some_channels(const WnPlaneFormat& plane) { return plane.bits == WN_SOME_CHANNELS; }
WN_HD int64_t code_bytes(const WnPlaneFormat& plane, int width) {
  return is_some_channels(plane) ? int64_t{128} * plane.group : int64_t{8} * width * (plane.bits == 0 ? 16 : plane.bits);
}
/// Words of params: a pair a group, or four numbers of channels in whole sixteens.
WN_HD int num_plane_groups(const WnPlaneFormat& plane, int width) {
  return plane.bits == 0 ? 0 : is_some_channels(plane) ? ceil_div(plane.group, 16) * 4 : 64 * width / plane.group;
}
/// Bytes of a plane as a method counts them.
WN_HD int64_t counted_bytes(const WnPlaneFormat& plane, int width) {
  return code_bytes(plane, width) + (is_some_channels(plane) ? plane.group : int64_t{4} * num_plane_groups(plane, width));
}
/// Which pair of scale and minimum a number has.
WN_HD int group_of(const WnPlaneFormat& plane, int width, int slot, int channel) {
  return plane.along == 0 ? slot / plane.group * width + channel : slot * (width / plane.group) + channel / plane.group;
}

/// Byte offsets of the parts of a page.
struct PackedPlaces {
  int64_t codes[2], params[2], bytes;
};
WN_HD PackedPlaces packed_places(const WnPlaneFormat& keys, const WnPlaneFormat& values, int head_dim, int head_dim_v) {
  PackedPlaces places;
  places.codes[0] = 0;
  places.codes[1] = code_bytes(keys, head_dim);
  places.params[0] = places.codes[1] + code_bytes(values, head_dim_v);
  places.params[1] = places.params[0] + 4 * num_plane_groups(keys, head_dim);
  places.bytes = places.params[1] + 4 * num_plane_groups(values, head_dim_v);
  return places;
}

/// What wn_decode_packed reads.
inline bool decode_packed_takes(const WnPlaneFormat& keys, const WnPlaneFormat& values, int head_dim) {
  return keys.bits == values.bits && (keys.bits == 8 || keys.bits == 4 || keys.bits == 2) && keys.along == 0 && values.along == 1 &&
         (keys.group == 32 || keys.group == 64) && values.group == 32 && (head_dim == 64 || head_dim == 128);
}

constexpr int kMaxPageFormats = 1 << (31 - WN_PACKED_PAGE_BITS);
WN_HD constexpr int32_t packed_entry(int format, int page) { return ~(format << WN_PACKED_PAGE_BITS | page); }
WN_HD constexpr int entry_format(int32_t entry) { return ~entry >> WN_PACKED_PAGE_BITS; }
WN_HD constexpr int entry_page(int32_t entry) { return entry < 0 ? ~entry & ((1 << WN_PACKED_PAGE_BITS) - 1) : entry; }

}  // namespace winnow

#endif
