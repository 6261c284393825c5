#include "quantise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "numerics.h"

namespace winnow {
namespace {

constexpr float kHalfMax = 65504.0f;

struct Range {
  float low = INFINITY;
  float high = -INFINITY;
  void Add(float value) {
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
};

/// f16 scale and minimum of a range, and the factor that turns a value into a code.
struct Codec {
  uint16_t scale_half;
  uint16_t minimum_half;
  float minimum;
  float inverse;
};

Codec MakeCodec(Range range, int32_t levels) {
  if (!(range.low <= range.high)) range = {0.0f, 0.0f};
  const float low = std::clamp(range.low, -kHalfMax, kHalfMax);
  const float high = std::clamp(range.high, -kHalfMax, kHalfMax);
  Codec codec;
  codec.scale_half = ToF16((high - low) / static_cast<float>(levels));
  codec.minimum_half = ToF16(low);
  codec.minimum = FromF16(codec.minimum_half);
  const float scale = FromF16(codec.scale_half);
  codec.inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  return codec;
}

uint32_t Encode(const Codec& codec, float value, float levels) {
  const float code = std::nearbyintf((value - codec.minimum) * codec.inverse);
  return code >= levels ? static_cast<uint32_t>(levels) : code > 0.0f ? static_cast<uint32_t>(code) : 0u;
}

void PutCode(uint8_t* row, int32_t channel, int32_t bits, uint32_t code) {
  const int32_t bit = channel * bits;
  row[bit >> 3] = static_cast<uint8_t>(row[bit >> 3] | code << (bit & 7));
}

/// Codes of `bits` bits become floats, eight channels at a time so that the compiler can unroll.
template <int bits>
void UnpackRow(const uint8_t* row, int32_t dim, float* out) {
  constexpr int per_byte = 8 / bits;
  constexpr uint32_t mask = (1u << bits) - 1;
  for (int32_t byte = 0; byte < dim / per_byte; byte++) {
    const uint32_t packed = row[byte];
    for (int i = 0; i < per_byte; i++) out[byte * per_byte + i] = static_cast<float>(packed >> (i * bits) & mask);
  }
}

}  // namespace

Status CheckFormat(const char* where, int64_t bits, int64_t group, int64_t along, int64_t rows, int64_t dim) {
  const std::string at = where;
  if (bits != 2 && bits != 4 && bits != 8) return Status::Shape(at + ".bits", "2, 4 or 8", std::to_string(bits));
  if (along != 0 && along != 1) return Status::Shape(at + ".along", "0 or 1", std::to_string(along));
  if (dim < 8 || dim % 8 != 0) return Status::Shape(at, "channels in multiples of 8", std::to_string(dim));
  const int64_t length = along == 0 ? rows : dim;
  if (group < 1 || group > 32767 || length % group != 0) {
    return Status::Shape(at + ".group",
                         "a divisor of " + std::to_string(length) + (along == 0 ? " slots" : " channels"),
                         std::to_string(group));
  }
  return Status();
}

void QuantiseRows(const QuantiseParams& params) {
  const auto [values, rows, dim, format, codes, scales, minima] = params;
  const int32_t bits = format.bits;
  const int32_t levels = (1 << bits) - 1;
  const size_t row_bytes = static_cast<size_t>(dim) * bits / 8;
  std::memset(codes, 0, rows * row_bytes);
  // Along 0 a group is `group` rows of one channel; along 1 it is `group` channels of one row.
  const int32_t tall = format.along == 0 ? format.group : 1;
  const int32_t wide = format.along == 0 ? 1 : format.group;
  int64_t index = 0;
  for (int32_t row = 0; row < rows; row += tall) {
    for (int32_t channel = 0; channel < dim; channel += wide, index++) {
      Range range;
      for (int32_t i = 0; i < tall; i++) {
        for (int32_t j = 0; j < wide; j++) range.Add(values[static_cast<int64_t>(row + i) * dim + channel + j]);
      }
      const Codec codec = MakeCodec(range, levels);
      scales[index] = codec.scale_half;
      minima[index] = codec.minimum_half;
      for (int32_t i = 0; i < tall; i++) {
        for (int32_t j = 0; j < wide; j++) {
          const float value = values[static_cast<int64_t>(row + i) * dim + channel + j];
          PutCode(codes + (row + i) * row_bytes, channel + j, bits, Encode(codec, value, static_cast<float>(levels)));
        }
      }
    }
  }
}

void DequantiseRows(const DequantiseParams& params) {
  const int32_t dim = params.dim;
  const int32_t bits = params.format.bits;
  const int32_t group = params.format.group;
  const size_t row_bytes = static_cast<size_t>(dim) * bits / 8;
  float* out = params.out;
  for (int32_t i = 0; i < params.count; i++, out += params.stride) {
    const int32_t row = params.first + i;
    const uint8_t* codes = params.codes + row * row_bytes;
    if (bits == 8) UnpackRow<8>(codes, dim, out);
    if (bits == 4) UnpackRow<4>(codes, dim, out);
    if (bits == 2) UnpackRow<2>(codes, dim, out);
    if (params.format.along == 0) {
      const int64_t base = static_cast<int64_t>(row / group) * dim;
      for (int32_t c = 0; c < dim; c++) {
        out[c] = std::fmaf(out[c], FromF16(params.scales[base + c]), FromF16(params.minima[base + c]));
      }
    } else {
      const int64_t base = static_cast<int64_t>(row) * (dim / group);
      for (int32_t c = 0; c < dim; c++) {
        const int64_t at = base + c / group;
        out[c] = std::fmaf(out[c], FromF16(params.scales[at]), FromF16(params.minima[at]));
      }
    }
  }
}

Status QuantiseRoundTrip(const float* x, int32_t rows, int32_t dim, PlaneFormat format, float* out) {
  std::vector<uint8_t> codes(static_cast<size_t>(rows) * dim * format.bits / 8);
  const size_t groups = static_cast<size_t>(rows) * dim / format.group;
  std::vector<uint16_t> halves(groups * 2);
  QuantiseRows({x, rows, dim, format, codes.data(), halves.data(), halves.data() + groups});
  DequantiseRows({codes.data(), halves.data(), halves.data() + groups, dim, format, 0, rows, out, dim});
  return Status();
}

}  // namespace winnow
