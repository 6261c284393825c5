/// The KV cache: ragged per (layer, KV head), paged, copy-on-write.
///
/// A cache is a table of pages per head; a fork copies tables and raises reference counts, a write to a shared page copies
/// that page first. All pages of a head but the last are full. Slots are in the order they were appended.
///
/// Limits    one thread changes caches at a time; reads may run in parallel
/// Returns   Status; a wrong argument changes nothing
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache_page.h"
#include "status.h"

namespace winnow {

struct Context;
struct MergeParams;
struct RotateParams;

struct LayerGeometry {
  int32_t num_kv_heads;
  int32_t head_dim;
  int32_t head_dim_v;
  /// Index of the layer's first head among all heads.
  int32_t first_head;
};

struct CacheLayout {
  DType element = DType::kF32;
  std::vector<LayerGeometry> layers;
  int32_t total_heads = 0;
};

/// Layout of a model's caches. Limits: head dims multiples of 8 up to 256; a layer may have no head.
Status MakeLayout(const std::vector<int32_t>& num_kv_heads, const std::vector<int32_t>& head_dim,
                  const std::vector<int32_t>& head_dim_v, DType element, CacheLayout* out);

/// Slots of one KV head.
struct HeadCache {
  int32_t len = 0;
  std::vector<Page*> pages;
};

class Cache {
 public:
  explicit Cache(std::shared_ptr<const CacheLayout> layout);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// A copy that shares every page.
  std::unique_ptr<Cache> Fork() const;
  /// A copy that shares no page (released pages hold nothing and stay shared).
  std::unique_ptr<Cache> Copy() const;

  const CacheLayout& layout() const { return *layout_; }
  const std::shared_ptr<const CacheLayout>& shared_layout() const { return layout_; }
  const LayerGeometry& geometry(int32_t layer) const { return layout_->layers[layer]; }
  const HeadCache& head(int32_t layer, int32_t kv_head) const { return heads_[geometry(layer).first_head + kv_head]; }
  const std::vector<HeadCache>& heads() const { return heads_; }
  /// Largest number of slots of any head of a layer.
  int32_t MaxLen(int32_t layer) const;

  /// Makes room for `count` more slots in every head of a layer: the pages they fall in become private element pages.
  /// The new slots have position 0, count 1 and bias 0; keys and values are whatever was there until the caller writes them.
  void Grow(int32_t layer, int32_t count);

  /// keys, values f32 [H, count, d]; positions, counts i32 [H, count]; bias f32 [H, count]. Entries with a negative count
  /// are no slots. The new slots come before the last `before` slots of each head.
  Status Append(int32_t layer, int32_t count, const float* keys, const float* values, const int32_t* positions,
                const int32_t* counts, const float* bias, int32_t before = 0);
  /// Keeps slots [H][stride] (ascending, the first lens[h] of each head; -1 keeps all). Kept slots of quantised pages that
  /// move come back as elements; a prefix of whole pages that stays where it was keeps its pages and their codes.
  Status Keep(int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens);
  /// The same of one layer of several caches, each listed once: list r * lists + h of row r and head h, or one for all of its heads
  /// (lists 1).
  static Status KeepRows(const std::vector<Cache*>& caches, int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens,
                         int64_t lists);
  Status DropLast(int32_t count);
  /// Gives back the memory of the leading pages of a layer whose positions all lie below `before`. Their slots stay in the numbering:
  /// they read as zeros at position 0 and count no bytes.
  void ReleaseBefore(int32_t layer, int32_t before);
  Status Quantise(int32_t layer, int32_t what, int32_t up_to, PlaneFormat format);
  /// Merges slots into others (cache_merge.h).
  Status Merge(const Context& context, const MergeParams& params);
  /// Moves the positions of slots, and rotates their keys along (cache_rotate.h).
  Status Rotate(const Context& context, const RotateParams& params);
  /// Stores only the listed channels of keys in the whole pages of slots [0, up_to): channels [H][stride] ascending, the
  /// first lens[h] of each head (-1 leaves a head alone). Reads give 0 for the others. Pages that are packed already stay.
  Status KeepChannels(int32_t layer, int32_t up_to, const int32_t* channels, int64_t stride, const int32_t* lens);
  /// For tests: NaN into keys and values of every slot of a layer that is not listed (slots and lens as in Keep). Pages that
  /// are shared or quantised become private element pages first.
  Status Poison(int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens);

  /// Slots x width x element bytes, quantised pages by their codes, scales and minima.
  int64_t HeadBytes(int32_t layer, int32_t kv_head) const;
  int64_t Bytes() const;
  /// FNV-1a over lens, values as read, positions, counts and bias.
  uint64_t Hash() const;

 private:
  void GrowHead(HeadCache& head, const LayerGeometry& geometry, int32_t count);
  void KeepHead(HeadCache& head, const LayerGeometry& geometry, const int32_t* slots, int32_t count);
  /// The page of a head, private and not a released one; with elements in both planes if `elements`.
  static Page& OwnPage(HeadCache& head, int32_t index, bool elements);
  static void TruncateHead(HeadCache& head, int32_t len);
  static Status CheckList(const std::string& op, const HeadCache& head, int32_t kv_head, const int32_t* slots, int32_t count,
                          int64_t stride);
  Status CheckSlots(const char* op, int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens) const;

  std::shared_ptr<const CacheLayout> layout_;
  std::vector<HeadCache> heads_;
};

inline int32_t PagesFor(int32_t slots) { return (slots + kPageSize - 1) / kPageSize; }
/// Slots of page `index` that are in use in a head of `len` slots.
inline int32_t UsedSlots(int32_t len, int32_t index) {
  const int32_t left = len - index * kPageSize;
  return left < kPageSize ? left : kPageSize;
}

}  // namespace winnow
