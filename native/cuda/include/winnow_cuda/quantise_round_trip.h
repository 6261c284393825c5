#ifndef WINNOW_CUDA_QUANTISE_ROUND_TRIP_H
#define WINNOW_CUDA_QUANTISE_ROUND_TRIP_H

#include "status.h"

typedef struct WnQuantiseRoundTripParams {
  const float* x;
  float* out;
  int64_t rows;
  int32_t dim;
  int32_t bits;   ///< 2, 4 or 8
  int32_t group;  ///< values that share a scale
  int32_t along;  ///< 0 per channel over `group` rows, 1 per row over `group` channels
} WnQuantiseRoundTripParams;

/// Through integer codes and back:
///
///   code = clamp(round((x - minimum) / scale), 0, 2^bits - 1),   out = code * scale + minimum
///
/// scale = (max - min) / (2^bits - 1) of the group; both are rounded to f16 and used as rounded. A group of equal values has
/// scale 0 and comes back as its minimum. Halves round to even; values beyond +-65504 saturate.
///
/// Shapes    x, out  [rows, dim]  f32
/// Limits    bits in {2, 4, 8}; along 0: rows a multiple of group; along 1: dim a multiple of group
/// Error     equal to the reference but where x falls on the border of two codes: there one scale apart
/// Cost      two reads and one write; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_quantise_round_trip(const WnQuantiseRoundTripParams* params, void* stream);

#endif
