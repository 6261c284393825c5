#include "cache_page.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#include "numerics.h"
#include "pool.h"
#include "quantise.h"

namespace winnow {
namespace {

/// What a block is for.
enum class Use { kKeys = 0, kValues = 1, kPage = 2 };

/// Blocks by use and size, cut one behind the other from slabs that double up to 4 MiB of huge pages: attention walks the
/// keys of a head's pages in order, then their values, and the core reads ahead only where the next ones lie behind (with
/// keys and values in turn one thread read 20 instead of 27 GB/s; with 4 KiB pages misses of the translation cache cost
/// more than the bytes). A freed block waits for the next one of its kind, the lowest address first, so that pages taken
/// together lie together again. When no block is live, slabs are cut anew for whatever comes; those beyond kIdleMost go back
/// to the system, not all of them: clearing fresh memory took a tenth of a run with many settings.
class BlockPool {
 public:
  void* Take(Use use, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Kind& kind = kinds_[KeyOf(use, bytes)];
    void* block = nullptr;
    if (!kind.waiting.empty()) {
      std::pop_heap(kind.waiting.begin(), kind.waiting.end(), std::greater<>());
      block = kind.waiting.back();
      kind.waiting.pop_back();
    } else {
      const size_t rounded = (bytes + 63) / 64 * 64;
      if (kind.left < rounded) AddSlab(kind, rounded);
      block = kind.next;
      kind.next += rounded;
      kind.left -= rounded;
    }
    live_bytes_ += static_cast<int64_t>(bytes);
    return block;
  }
  void Give(Use use, void* block, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    live_bytes_ -= static_cast<int64_t>(bytes);
    std::vector<void*>& waiting = kinds_[KeyOf(use, bytes)].waiting;
    waiting.push_back(block);
    std::push_heap(waiting.begin(), waiting.end(), std::greater<>());
    if (live_bytes_ != 0) return;
    kinds_.clear();
    for (Slab& slab : slabs_) {
      if (idle_bytes_ + slab.bytes > kIdleMost) continue;
      idle_bytes_ += slab.bytes;
      idle_.emplace(slab.bytes, std::move(slab.data));
    }
    slabs_.clear();
  }
  int64_t live_bytes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_bytes_;
  }

 private:
  struct Kind {
    std::vector<void*> waiting;  ///< heap
    std::byte* next = nullptr;  ///< in the newest slab
    size_t left = 0;
    size_t total = 0;
  };

  struct Slab {
    AlignedBytes data;
    size_t bytes;
  };
  static constexpr size_t kIdleMost = size_t{1} << 30;

  static size_t KeyOf(Use use, size_t bytes) { return bytes * 4 + static_cast<size_t>(use); }

  void AddSlab(Kind& kind, size_t block) {
    constexpr size_t kLeast = size_t{64} << 10;
    constexpr size_t kMost = size_t{4} << 20;
    Slab slab{nullptr, std::max(block, std::clamp(kind.total, kLeast, kMost))};
    const auto idle = idle_.lower_bound(slab.bytes);
    if (idle != idle_.end()) {
      slab = {std::move(idle->second), idle->first};
      idle_bytes_ -= slab.bytes;
      idle_.erase(idle);
    } else {
      slab.data = AllocateAligned(slab.bytes);
    }
    if (slab.data == nullptr) throw std::bad_alloc();
    kind.next = slab.data.get();
    kind.left = slab.bytes;
    kind.total += slab.bytes;
    slabs_.push_back(std::move(slab));
  }

  std::mutex mutex_;
  std::unordered_map<size_t, Kind> kinds_;
  std::vector<Slab> slabs_;
  std::multimap<size_t, AlignedBytes> idle_;  ///< by bytes
  size_t idle_bytes_ = 0;
  int64_t live_bytes_ = 0;
};

BlockPool& Blocks() {
  static BlockPool* pool = new BlockPool();
  return *pool;
}
Use UseOf(int what) { return what == 0 ? Use::kKeys : Use::kValues; }
std::atomic<int64_t> live_pages{0};
std::atomic<bool> poison_freed{false};

/// Planes of every released page: 64 rows of the widest element.
alignas(64) uint8_t zeros[kPageSize * 256 * sizeof(float)] = {};

int32_t GroupsPerPlane(PlaneFormat format, int32_t dim) { return kPageSize * dim / format.group; }

Page* NewShell(DType element, int32_t head_dim, int32_t head_dim_v) {
  Page* page = new (Blocks().Take(Use::kPage, sizeof(Page))) Page();
  page->element = element;
  page->dims[0] = static_cast<int16_t>(head_dim);
  page->dims[1] = static_cast<int16_t>(head_dim_v);
  std::memset(page->positions, 0, sizeof page->positions);
  std::memset(page->counts, 0, sizeof page->counts);
  std::memset(page->bias, 0, sizeof page->bias);
  live_pages.fetch_add(1, std::memory_order_relaxed);
  return page;
}

void FreePage(Page* page) {
  for (int what = 0; what < 2; what++) {
    Plane& plane = page->planes[what];
    if (plane.data == nullptr || page->released) continue;
    const size_t bytes = PlaneBytes(plane.format, page->dims[what], page->element);
    if (poison_freed.load(std::memory_order_relaxed)) std::memset(plane.data, 0xff, bytes);
    Blocks().Give(UseOf(what), plane.data, bytes);
  }
  page->~Page();
  Blocks().Give(Use::kPage, page, sizeof(Page));
  live_pages.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace

size_t PlaneBytes(PlaneFormat format, int32_t dim, DType element) {
  if (format.bits == 0) return static_cast<size_t>(kPageSize) * dim * SizeOf(element);
  if (format.is_channels()) return static_cast<size_t>(format.group) * (kPageSize * format.bits / 8 + 1);
  return static_cast<size_t>(kPageSize) * dim * format.bits / 8 + static_cast<size_t>(GroupsPerPlane(format, dim)) * 4;
}

QuantisedView ViewQuantised(const Plane& plane, int32_t dim) {
  if (plane.format.is_channels()) return {plane.data, nullptr, nullptr};
  const uint8_t* scales = plane.data + static_cast<size_t>(kPageSize) * dim * plane.format.bits / 8;
  const auto* halves = reinterpret_cast<const uint16_t*>(scales);
  return {plane.data, halves, halves + GroupsPerPlane(plane.format, dim)};
}

Page* NewPage(DType element, int32_t head_dim, int32_t head_dim_v, int32_t written) {
  Page* page = NewShell(element, head_dim, head_dim_v);
  try {
    for (int what = 0; what < 2; what++) {
      const size_t bytes = PlaneBytes({}, page->dims[what], element);
      page->planes[what].data = static_cast<uint8_t*>(Blocks().Take(UseOf(what), bytes));
      const size_t first = bytes / kPageSize * written;
      std::memset(page->planes[what].data + first, 0, bytes - first);
    }
  } catch (...) {
    FreePage(page);
    throw;
  }
  return page;
}

Page* ReleasedPage(DType element, int32_t head_dim, int32_t head_dim_v) {
  Page* page = NewShell(element, head_dim, head_dim_v);
  page->released = true;
  for (Plane& plane : page->planes) plane.data = zeros;
  return page;
}

void RetainPage(Page* page) { page->refs.fetch_add(1, std::memory_order_relaxed); }

void ReleasePage(Page* page) {
  if (page->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) FreePage(page);
}

Page* CopyAsElements(const Page& page, int32_t used) {
  Page* copy = NewPage(page.element, page.dims[0], page.dims[1], used);
  std::vector<float> row;
  for (int what = 0; what < 2; what++) {
    const int32_t dim = page.dims[what];
    if (page.planes[what].format.bits == 0) {
      std::memcpy(copy->planes[what].data, page.planes[what].data,
                  static_cast<size_t>(used) * dim * SizeOf(page.element));
      continue;
    }
    row.resize(dim);
    for (int32_t slot = 0; slot < used; slot++) {
      ReadRows(page, what, slot, 1, row.data(), dim);
      WriteRow(*copy, what, slot, row.data());
    }
  }
  std::memcpy(copy->positions, page.positions, used * sizeof(int32_t));
  std::memcpy(copy->counts, page.counts, used * sizeof(int32_t));
  std::memcpy(copy->bias, page.bias, used * sizeof(float));
  copy->has_bias = page.has_bias;
  return copy;
}

Page* ClonePage(const Page& page) {
  Page* copy = NewShell(page.element, page.dims[0], page.dims[1]);
  try {
    for (int what = 0; what < 2; what++) {
      const size_t bytes = PlaneBytes(page.planes[what].format, page.dims[what], page.element);
      copy->planes[what].format = page.planes[what].format;
      copy->planes[what].data = static_cast<uint8_t*>(Blocks().Take(UseOf(what), bytes));
      std::memcpy(copy->planes[what].data, page.planes[what].data, bytes);
    }
  } catch (...) {
    FreePage(copy);
    throw;
  }
  std::memcpy(copy->positions, page.positions, sizeof page.positions);
  std::memcpy(copy->counts, page.counts, sizeof page.counts);
  std::memcpy(copy->bias, page.bias, sizeof page.bias);
  copy->has_bias = page.has_bias;
  return copy;
}

bool QuantisePlane(Page& page, int32_t what, PlaneFormat format) {
  const int32_t dim = page.dims[what];
  auto* values = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(kPageSize) * dim * sizeof(float)));
  if (values == nullptr) return false;
  ReadRows(page, what, 0, kPageSize, values, dim);
  Plane fresh{nullptr, format};
  try {
    fresh.data = static_cast<uint8_t*>(Blocks().Take(UseOf(what), PlaneBytes(format, dim, page.element)));
  } catch (const std::bad_alloc&) {
    return false;
  }
  const QuantisedView view = ViewQuantised(fresh, dim);
  QuantiseRows({.values = values,
                .rows = kPageSize,
                .dim = dim,
                .format = format,
                .codes = fresh.data,
                .scales = const_cast<uint16_t*>(view.scales),
                .minima = const_cast<uint16_t*>(view.minima)});
  Plane& plane = page.planes[what];
  Blocks().Give(UseOf(what), plane.data, PlaneBytes(plane.format, dim, page.element));
  plane = fresh;
  return true;
}

bool SelectChannels(Page& page, int32_t what, const int32_t* channels, int32_t count) {
  const int32_t dim = page.dims[what];
  const auto size = static_cast<int32_t>(SizeOf(page.element));
  Plane& plane = page.planes[what];
  Plane fresh{nullptr, {static_cast<uint8_t>(size * 8), 0, static_cast<int16_t>(count)}};
  try {
    fresh.data = static_cast<uint8_t*>(Blocks().Take(UseOf(what), PlaneBytes(fresh.format, dim, page.element)));
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (int32_t slot = 0; slot < kPageSize; slot++) {
    for (int32_t i = 0; i < count; i++) {
      std::memcpy(fresh.data + (slot * count + i) * size, plane.data + (slot * dim + channels[i]) * size, size);
    }
  }
  for (int32_t i = 0; i < count; i++) fresh.data[kPageSize * count * size + i] = static_cast<uint8_t>(channels[i]);
  Blocks().Give(UseOf(what), plane.data, PlaneBytes(plane.format, dim, page.element));
  plane = fresh;
  return true;
}

void ReadRows(const Page& page, int32_t what, int32_t first, int32_t count, float* out, int64_t stride) {
  const int32_t dim = page.dims[what];
  const Plane& plane = page.planes[what];
  if (plane.format.bits != 0) {
    const QuantisedView view = ViewQuantised(plane, dim);
    DequantiseRows({.codes = view.codes,
                    .scales = view.scales,
                    .minima = view.minima,
                    .dim = dim,
                    .format = plane.format,
                    .first = first,
                    .count = count,
                    .stride = stride},
                   DType::kF32, out);
    return;
  }
  for (int32_t i = 0; i < count; i++, out += stride) {
    const size_t at = static_cast<size_t>(first + i) * dim;
    if (page.element == DType::kF32) {
      std::memcpy(out, reinterpret_cast<const float*>(plane.data) + at, dim * sizeof(float));
    } else {
      const uint16_t* from = reinterpret_cast<const uint16_t*>(plane.data) + at;
      for (int32_t c = 0; c < dim; c++) out[c] = FromBf16(from[c]);
    }
  }
}

void WriteRow(Page& page, int32_t what, int32_t slot, const float* values) {
  const int32_t dim = page.dims[what];
  const size_t at = static_cast<size_t>(slot) * dim;
  if (page.element == DType::kF32) {
    std::memcpy(reinterpret_cast<float*>(page.planes[what].data) + at, values, dim * sizeof(float));
    return;
  }
  uint16_t* to = reinterpret_cast<uint16_t*>(page.planes[what].data) + at;
  for (int32_t c = 0; c < dim; c++) to[c] = ToBf16(values[c]);
}

void CopySlot(const Page& from, int32_t from_slot, Page& to, int32_t to_slot) {
  for (int what = 0; what < 2; what++) {
    const int32_t dim = from.dims[what];
    if (from.planes[what].format.bits == 0) {
      const size_t bytes = static_cast<size_t>(dim) * SizeOf(from.element);
      std::memmove(to.planes[what].data + to_slot * bytes, from.planes[what].data + from_slot * bytes, bytes);
    } else {
      float row[256];
      ReadRows(from, what, from_slot, 1, row, dim);
      WriteRow(to, what, to_slot, row);
    }
  }
  to.positions[to_slot] = from.positions[from_slot];
  to.counts[to_slot] = from.counts[from_slot];
  to.bias[to_slot] = from.bias[from_slot];
}

void PoisonFreedPages(bool on) { poison_freed.store(on, std::memory_order_relaxed); }

int64_t LivePageBytes() { return Blocks().live_bytes(); }
int64_t LivePages() { return live_pages.load(std::memory_order_relaxed); }

}  // namespace winnow
