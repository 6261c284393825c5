#ifndef WINNOW_CUDA_PAGE_FORMAT_H
#define WINNOW_CUDA_PAGE_FORMAT_H

#include "status.h"

/// How the keys or the values of a page are stored.
typedef struct WnPlaneFormat {
  int32_t bits;   ///< of a code: 8, 4 or 2; 0: bf16 elements; WN_SOME_CHANNELS: bf16 elements of `group` channels, the others 0
  int32_t group;  ///< numbers that share a scale and a minimum
  int32_t along;  ///< 0: consecutive slots of a channel, 1: consecutive channels of a slot
} WnPlaneFormat;

enum { WN_SOME_CHANNELS = 16 };

/// Where pages of one format lie. A page holds four parts, one behind the other:
///
///   key codes, value codes    [64][width * bits / 8] bytes, channel 0 in the lowest bits; elements: [64][width] bf16
///   key params, value params  pairs (f16 scale, f16 minimum), along 0 [64 / group][width], along 1 [64][width / group];
///                             of elements none; of some channels [64][group] bf16 as codes and their numbers, a byte each, as params
///
/// A number is code * scale + minimum. `pages` is 16-byte aligned; positions, counts and log_bias are [pages, 64].
/// Limits: widths multiples of 8 up to 256; along 0: 64 % group = 0; along 1: width % group = 0.
typedef struct WnPageFormat {
  void* pages;
  int32_t* positions;
  int32_t* counts;
  float* log_bias;
  WnPlaneFormat planes[2];  ///< keys, values
} WnPageFormat;

/// An operation that takes formats reads page table entries below 0 as packed pages: ~entry holds the number of the format
/// above WN_PACKED_PAGE_BITS bits of the page's number. Entries from 0 on are pages of elements.
enum { WN_PACKED_PAGE_BITS = 24 };

#endif
