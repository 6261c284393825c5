/// Asymmetric integer codes of keys and values, and back.
///
///   code = clamp(round((x - minimum) / scale), 0, 2^bits - 1),   x' = code * scale + minimum (the product is exact)
///
/// scale = (max - min) / (2^bits - 1) of the group, both stored in f16 and used as stored; a group of equal values has
/// scale 0 and comes back as its f16 minimum. Rounding is to the nearest, halves to even.
///
/// Shapes    values  [rows, dim]                f32
///           codes   [rows, dim * bits / 8]     little-endian within a byte
///           scales, minima  along 0: [rows / group, dim]; along 1: [rows, dim / group]    f16
/// Limits    bits in {2, 4, 8}; dim % 8 == 0, up to 4096; along 0: rows % group == 0; along 1: dim % group == 0
/// Error     |x' - x| <= scale / 2 + 2^-10 * (|min| + max - min); values beyond +-65504 saturate
/// Cost      one pass over the values; no allocation; the same bits on every machine
#pragma once

#include <cstdint>

#include "cache_page.h"
#include "isa.h"
#include "status.h"
#include "tensor.h"

namespace winnow {

constexpr int32_t kMaxQuantisedDim = 4096;

struct QuantiseParams {
  const float* values;
  int32_t rows;
  int32_t dim;
  PlaneFormat format;
  uint8_t* codes;
  uint16_t* scales;
  uint16_t* minima;
};
void QuantiseRows(const QuantiseParams& params);

struct DequantiseParams {
  const uint8_t* codes;
  const uint16_t* scales;
  const uint16_t* minima;
  int32_t dim;
  PlaneFormat format;
  /// Rows [first, first + count) are written `stride` elements apart.
  int32_t first;
  int32_t count;
  int64_t stride;
};
/// Into f32, or into bf16 (rounded to nearest even). Planes of some channels are spread, in f32 or their own element type.
void DequantiseRows(const DequantiseParams& params, DType type, void* out);

struct QuantiseKernels {
  void (*encode)(const QuantiseParams& params);
  void (*decode_f32)(const DequantiseParams& params, float* out);
  void (*decode_bf16)(const DequantiseParams& params, uint16_t* out);
};
WINNOW_DECLARE_KERNELS(QuantiseKernels);

/// Checks bits, group and direction against [rows, dim]; `where` names the caller.
Status CheckFormat(const char* where, int64_t bits, int64_t group, int64_t along, int64_t rows, int64_t dim);

/// x [rows, dim] through codes and back into out, by the rules above.
Status QuantiseRoundTrip(const float* x, int32_t rows, int32_t dim, PlaneFormat format, float* out);
/// The same in fp64 with no packing, written for reading.
void QuantiseRoundTripRef(const float* x, int32_t rows, int32_t dim, PlaneFormat format, double* out);

}  // namespace winnow
