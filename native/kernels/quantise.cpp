#include "quantise.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "numerics.h"

namespace winnow {
namespace {

/// The bits are the same on every instruction set, so the best one of the machine serves all.
const QuantiseKernels& Best() { return Kernels<QuantiseKernels>(AvailableIsas().front()); }

/// Rows of a plane of some channels; the others are 0.
template <class Out>
void SpreadChannels(const DequantiseParams& p, Out* out) {
  const int32_t kept = p.format.group;
  const int32_t size = p.format.bits / 8;
  const uint8_t* numbers = p.codes + int64_t{kPageSize} * kept * size;
  for (int32_t row = 0; row < p.count; row++, out += p.stride) {
    std::fill(out, out + p.dim, Out{0});
    const uint8_t* from = p.codes + int64_t{p.first + row} * kept * size;
    for (int32_t i = 0; i < kept; i++) {
      if (size == sizeof(Out)) {
        std::memcpy(&out[numbers[i]], from + i * size, sizeof(Out));
      } else if constexpr (sizeof(Out) == 4) {
        Bf16 half;
        std::memcpy(&half, from + i * size, 2);
        out[numbers[i]] = FromBf16(half);
      }
    }
  }
}

}  // namespace

Status CheckFormat(const char* where, int64_t bits, int64_t group, int64_t along, int64_t rows, int64_t dim) {
  const std::string at = where;
  if (bits != 2 && bits != 4 && bits != 8) return Status::Shape(at + ".bits", "2, 4 or 8", std::to_string(bits));
  if (along != 0 && along != 1) return Status::Shape(at + ".along", "0 or 1", std::to_string(along));
  if (dim < 8 || dim % 8 != 0 || dim > kMaxQuantisedDim) {
    return Status::Shape(at, "channels in multiples of 8 up to " + std::to_string(kMaxQuantisedDim), std::to_string(dim));
  }
  const int64_t length = along == 0 ? rows : dim;
  if (group < 1 || group > 32767 || length % group != 0) {
    return Status::Shape(at + ".group",
                         "a divisor of " + std::to_string(length) + (along == 0 ? " slots" : " channels"),
                         std::to_string(group));
  }
  return Status();
}

void QuantiseRows(const QuantiseParams& params) { Best().encode(params); }

void DequantiseRows(const DequantiseParams& params, DType type, void* out) {
  if (params.format.is_channels()) {
    if (type == DType::kBf16) SpreadChannels(params, static_cast<uint16_t*>(out));
    else SpreadChannels(params, static_cast<float*>(out));
    return;
  }
  if (type == DType::kBf16) Best().decode_bf16(params, static_cast<uint16_t*>(out));
  else Best().decode_f32(params, static_cast<float*>(out));
}

Status QuantiseRoundTrip(const float* x, int32_t rows, int32_t dim, PlaneFormat format, float* out) {
  std::vector<uint8_t> codes(static_cast<size_t>(rows) * dim * format.bits / 8);
  const size_t groups = static_cast<size_t>(rows) * dim / format.group;
  std::vector<uint16_t> halves(groups * 2);
  QuantiseRows({x, rows, dim, format, codes.data(), halves.data(), halves.data() + groups});
  DequantiseRows({codes.data(), halves.data(), halves.data() + groups, dim, format, 0, rows, dim}, DType::kF32, out);
  return Status();
}

}  // namespace winnow
