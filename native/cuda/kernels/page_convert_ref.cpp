#include <algorithm>
#include <cmath>
#include <cstring>

#include "packed_page.h"
#include "reference.h"

namespace winnow {

double half_value(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction ? std::nan("") : INFINITY)
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t to_half(double x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(x);
  if (magnitude == 0) return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int unit = std::max(exponent - 11, -24);
  const double steps = std::nearbyint(std::ldexp(magnitude, -unit));
  // Subnormals have unit -24; a carry into the next binade is right because the encodings are consecutive.
  if (unit == -24) return sign | static_cast<uint16_t>(steps);
  return static_cast<uint16_t>(sign | (((unit + 24) << 10) + static_cast<int>(steps)));
}

namespace {

/// One page as its parts, each a plane of its own.
struct PageParts {
  const WnPageFormat& format;
  uint8_t *codes[2], *params[2];
  int64_t page;
  PageParts(const WnPageConvertParams& p, int32_t entry) : format(entry < 0 ? p.formats[entry_format(entry)] : p.elements), page(entry_page(entry)) {
    const PackedPlaces places = packed_places(format.planes[0], format.planes[1], p.head_dim, p.head_dim_v);
    for (int what = 0; what < 2; what++) {
      codes[what] = static_cast<uint8_t*>(format.pages) + page * places.bytes + places.codes[what];
      params[what] = static_cast<uint8_t*>(format.pages) + page * places.bytes + places.params[what];
    }
  }
};

float half_at(const uint8_t* params, int index, int which) {
  uint16_t bits;
  std::memcpy(&bits, params + 4 * index + 2 * which, 2);
  return static_cast<float>(half_value(bits));
}

}  // namespace

double packed_value(const WnPlaneFormat& plane, const uint8_t* codes, const uint8_t* params, int width, int slot, int channel) {
  const int at = slot * width + channel;
  if (plane.bits == 0) return bf16_value(codes, at);
  if (is_some_channels(plane)) {
    const uint8_t* found = std::find(params, params + plane.group, channel);
    return found == params + plane.group ? 0 : bf16_value(codes, int64_t{slot} * plane.group + (found - params));
  }
  const int code = codes[at * plane.bits / 8] >> (at * plane.bits % 8) & ((1 << plane.bits) - 1);
  const int group = group_of(plane, width, slot, channel);
  return static_cast<float>(static_cast<float>(code) * half_at(params, group, 0)) + half_at(params, group, 1);
}

double page_value(const WnPageFormat& format, int64_t page, int what, int head_dim, int head_dim_v, int slot, int channel) {
  const PackedPlaces places = packed_places(format.planes[0], format.planes[1], head_dim, head_dim_v);
  const auto* bytes = static_cast<const uint8_t*>(format.pages) + page * places.bytes;
  return packed_value(format.planes[what], bytes + places.codes[what], bytes + places.params[what], what == 0 ? head_dim : head_dim_v, slot, channel);
}

void page_convert_ref(const WnPageConvertParams& p) {
  for (int job = 0; job < p.num_jobs; job++) {
    const PageParts from(p, p.source[job]), to(p, p.target[job]);
    for (int what = 0; what < 2; what++) {
      const int width = what == 0 ? p.head_dim : p.head_dim_v;
      const WnPlaneFormat plane = from.format.planes[what], wanted = to.format.planes[what];
      if (same_plane(plane, wanted)) {
        std::memcpy(to.codes[what], from.codes[what], static_cast<size_t>(code_bytes(plane, width)));
        std::memcpy(to.params[what], from.params[what], static_cast<size_t>(num_plane_groups(plane, width)) * 4);
        continue;
      }
      auto value = [&](int slot, int channel) {
        return static_cast<float>(packed_value(plane, from.codes[what], from.params[what], width, slot, channel));
      };
      if (wanted.bits == 0) {
        for (int i = 0; i < 64 * width; i++) reinterpret_cast<uint16_t*>(to.codes[what])[i] = to_bf16(value(i / width, i % width));
        continue;
      }
      if (is_some_channels(wanted)) {
        const int32_t* channels = p.channels + int64_t{p.channel_list[job]} * p.channel_stride;
        std::memset(to.params[what], 0, static_cast<size_t>(num_plane_groups(wanted, width)) * 4);
        for (int i = 0; i < wanted.group; i++) to.params[what][i] = static_cast<uint8_t>(channels[i]);
        for (int i = 0; i < 64 * wanted.group; i++)
          reinterpret_cast<uint16_t*>(to.codes[what])[i] = to_bf16(value(i / wanted.group, channels[i % wanted.group]));
        continue;
      }
      const auto levels = static_cast<float>((1 << wanted.bits) - 1);
      std::vector<float> low(static_cast<size_t>(num_plane_groups(wanted, width)), INFINITY), high(low.size(), -INFINITY);
      for (int i = 0; i < 64 * width; i++) {
        const auto group = static_cast<size_t>(group_of(wanted, width, i / width, i % width));
        low[group] = std::fmin(low[group], value(i / width, i % width));
        high[group] = std::fmax(high[group], value(i / width, i % width));
      }
      for (size_t group = 0; group < low.size(); group++) {
        const float least = std::clamp(low[group], -65504.0f, 65504.0f), most = std::clamp(high[group], -65504.0f, 65504.0f);
        const uint16_t pair[2] = {to_half((most - least) / levels), to_half(least)};
        std::memcpy(to.params[what] + 4 * group, pair, 4);
      }
      std::memset(to.codes[what], 0, static_cast<size_t>(code_bytes(wanted, width)));
      for (int i = 0; i < 64 * width; i++) {
        const int group = group_of(wanted, width, i / width, i % width);
        const float scale = half_at(to.params[what], group, 0), inverse = scale > 0 ? 1.0f / scale : 0.0f;
        const float steps = (value(i / width, i % width) - half_at(to.params[what], group, 1)) * inverse;
        const int code = static_cast<int>(std::nearbyint(std::clamp(steps, 0.0f, levels)));
        to.codes[what][i * wanted.bits / 8] |= static_cast<uint8_t>(code << (i * wanted.bits % 8));
      }
    }
    for (int slot = 0; slot < 64; slot++) {
      to.format.positions[to.page * 64 + slot] = from.format.positions[from.page * 64 + slot];
      to.format.counts[to.page * 64 + slot] = from.format.counts[from.page * 64 + slot];
      to.format.log_bias[to.page * 64 + slot] = from.format.log_bias[from.page * 64 + slot];
    }
  }
}

}  // namespace winnow
