/// Pages of the KV cache: 64 slots of one KV head, reference-counted, copied when a shared page is written.
///
/// A page holds two planes (0 keys, 1 values) and per slot an original position, a count of merged tokens and an additive
/// logit bias. An element plane is [64][dim] row-major in the layout's element type. A quantised plane replaces it:
/// codes [64][dim] packed little-endian, then f16 scales, then f16 minima, one pair per group. A plane of some channels
/// replaces it too: elements [64][kept], then one byte a kept channel, its number.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "tensor.h"

namespace winnow {

constexpr int32_t kPageSize = 64;

/// How a plane is stored: bits 0 = elements; along 0 = groups of consecutive slots per channel, 1 = of channels per slot.
/// bits 16 or 32 = bf16 or f32 elements of `group` channels, the others being 0.
struct PlaneFormat {
  uint8_t bits = 0;
  uint8_t along = 0;
  int16_t group = 0;
  bool is_channels() const { return bits >= 16; }
};

struct Plane {
  uint8_t* data = nullptr;
  PlaneFormat format;
};

struct Page {
  /// Heads of several caches that share the page may be changed at once.
  std::atomic<int32_t> refs{1};
  /// False promises that every bias of the page is 0.
  bool has_bias = false;
  /// Given back (ReleasedPage): 64 slots that read as zeros at position 0, which lies behind the window of every query to come.
  bool released = false;
  DType element = DType::kF32;
  int16_t dims[2] = {0, 0};
  Plane planes[2];
  int32_t positions[kPageSize];
  int32_t counts[kPageSize];
  float bias[kPageSize];
};

/// Bytes of a plane of 64 slots in this format.
size_t PlaneBytes(PlaneFormat format, int32_t dim, DType element);

/// Codes, scales and minima inside a quantised plane.
struct QuantisedView {
  const uint8_t* codes;
  const uint16_t* scales;
  const uint16_t* minima;
};
QuantisedView ViewQuantised(const Plane& plane, int32_t dim);

/// A fresh page with one reference, element planes and zeroed contents, but for the first `written` rows of the planes, which
/// the caller writes. Thread-safe, like the three below.
Page* NewPage(DType element, int32_t head_dim, int32_t head_dim_v, int32_t written = 0);
/// A page that stands in the place of one that was given back: no planes of its own, never written, no bytes of a cache.
Page* ReleasedPage(DType element, int32_t head_dim, int32_t head_dim_v);
void RetainPage(Page* page);
void ReleasePage(Page* page);

/// An element page with the same values: quantised planes are read back. Copies the first `used` slots.
Page* CopyAsElements(const Page& page, int32_t used);
/// An equal page of its own, codes and all.
Page* ClonePage(const Page& page);

/// Replaces the element plane `what` by codes and frees the elements. The page must not be shared. False: out of memory,
/// and nothing has changed.
bool QuantisePlane(Page& page, int32_t what, PlaneFormat format);

/// Replaces the element plane `what` by `count` of its channels (ascending). The page must not be shared. False: out of
/// memory, and nothing has changed.
bool SelectChannels(Page& page, int32_t what, const int32_t* channels, int32_t count);

/// Rows [first, first + count) of a plane as f32 [count][stride].
void ReadRows(const Page& page, int32_t what, int32_t first, int32_t count, float* out, int64_t stride);
/// Writes one row of an element plane.
void WriteRow(Page& page, int32_t what, int32_t slot, const float* values);
/// Copies a slot (keys, values, position, count, bias) between pages of equal geometry; `to` has element planes.
void CopySlot(const Page& from, int32_t from_slot, Page& to, int32_t to_slot);

/// For tests: while on, the planes of freed pages are filled with NaN (all bits set), so that a read of them shows.
void PoisonFreedPages(bool on);

/// Bytes of all live pages (planes and per-slot fields), shared pages counted once.
int64_t LivePageBytes();
int64_t LivePages();

}  // namespace winnow
