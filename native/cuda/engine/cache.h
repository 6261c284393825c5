#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache_batch.h"
#include "page_pools.h"
#include "winnow_cuda/cache_edit.h"
#include "winnow_cuda/compact_slots.h"

/// The KV cache of the CUDA backend: ragged per (layer, KV head), paged, copy-on-write.
///
/// Lens and page tables live on the host; keys, values, positions, counts and biases on the device. A fork copies tables and
/// raises reference counts; a write to a shared page copies that page first. All pages of a head but the last are full.
/// Packed pages are never written: whoever would writes a page of elements in their place.
namespace winnow::gpu {

struct LayerGeometry {
  int32_t num_kv_heads, head_dim, first_head;
  PagePool* pool;  ///< of element pages
  PagePools* pools;
};

struct CacheLayout {
  std::vector<LayerGeometry> layers;
  int32_t total_heads = 0;
  int32_t last_with_heads = -1;  ///< the last layer that has KV heads
};

struct HeadSlots {
  int32_t len = 0;
  std::vector<int32_t> pages;  ///< entries as PagePools reads them
  /// The entry whose positions were last read to give pages back, and the highest of them; none once slots have moved.
  int32_t known_page = kReleasedPage, known_highest = 0;
};

constexpr int32_t kNoFormat = -1, kManyFormats = -2;

class Cache {
 public:
  explicit Cache(std::shared_ptr<const CacheLayout> layout);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  std::unique_ptr<Cache> Fork() const;

  const CacheLayout& layout() const { return *layout_; }
  const LayerGeometry& geometry(int32_t layer) const { return layout_->layers[static_cast<size_t>(layer)]; }
  const HeadSlots& head(int32_t layer, int32_t kv_head) const { return heads_[static_cast<size_t>(geometry(layer).first_head + kv_head)]; }
  HeadSlots& head(int32_t layer, int32_t kv_head) { return heads_[static_cast<size_t>(geometry(layer).first_head + kv_head)]; }
  const std::vector<HeadSlots>& heads() const { return heads_; }
  int32_t MaxLen(int32_t layer) const;
  int32_t MinLen(int32_t layer) const;
  bool has_bias(int32_t layer) const { return state_[static_cast<size_t>(layer)].has_bias; }
  void set_has_bias(int32_t layer) { state_[static_cast<size_t>(layer)].has_bias = true; }
  /// Changes with every change of the layer's page tables; equal numbers mean equal tables.
  uint64_t table_version(int32_t layer) const { return state_[static_cast<size_t>(layer)].table_version; }
  void TouchTable(int32_t layer) { state_[static_cast<size_t>(layer)].table_version = ++last_version_; }
  /// Whether pages of the layer may be packed.
  bool has_packed(int32_t layer) const { return state_[static_cast<size_t>(layer)].has_packed; }
  void set_has_packed(int32_t layer) { state_[static_cast<size_t>(layer)].has_packed = true; }
  /// Number of the one format that all packed pages of the layer have, kNoFormat, or kManyFormats.
  int32_t PackedFormat(int32_t layer);
  void Retain(int32_t layer, int32_t entry) const { geometry(layer).pools->Retain(*geometry(layer).pool, entry); }
  void Release(int32_t layer, int32_t entry) const { geometry(layer).pools->Release(*geometry(layer).pool, entry); }
  bool IsShared(int32_t layer, int32_t entry) const { return geometry(layer).pools->IsShared(*geometry(layer).pool, entry); }
  /// Slots beyond `len` of a head go; pages with them.
  void Truncate(int32_t layer, int32_t kv_head, int32_t len);
  /// Resident bytes: slots x 2 x head dim x 2, packed planes by their codes, scales and minima; what was given back counts nothing.
  int64_t HeadBytes(int32_t layer, int32_t kv_head);
  int64_t Bytes();

 private:
  struct LayerState {
    uint64_t table_version = 0;
    bool has_bias = false;
    bool has_packed = false;
    uint64_t format_version = 0;  ///< of the tables that `format` was told from
    int32_t format = 0;
    uint64_t saved_version = 0;  ///< of the tables that `saved` was counted in
    std::vector<int64_t> saved;  ///< by head: bytes that packed and released pages lack, the last page aside
  };
  static std::atomic<uint64_t> last_version_;  // engines of several threads draw from it
  std::shared_ptr<const CacheLayout> layout_;
  std::vector<HeadSlots> heads_;
  std::vector<LayerState> state_;
};

class CacheStore {
 public:
  explicit CacheStore(std::shared_ptr<Device> device) : device_(device), pools_(device), batches_(device), scratch_(device), unpacked_(device) {}

  Status AddLayout(const std::vector<int32_t>& num_kv_heads, const std::vector<int32_t>& head_dim,
                   const std::vector<int32_t>& head_dim_v, int32_t* out);
  Status Create(int32_t layout, int32_t* out);
  Status Fork(int32_t cache, int32_t* out);
  /// A copy in pages of its own, codes and all.
  Status Copy(int32_t cache, int32_t* out);
  Status Free(int32_t cache);
  Status Get(int64_t cache, const char* where, Cache** out) const;

  /// Room for `count` more slots in every head of a layer of each cache, in pages of their own; lens grow with it.
  Status Grow(const std::vector<Cache*>& caches, int32_t layer, int32_t count);
  /// Keeps slots of one cache: `slots` on the device, row h at h * stride (0: one list for all heads); lens on the host, -1 keeps all.
  Status Keep(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, int64_t capacity, const int32_t* lens);
  /// Keeps slots of several caches by one op where they may move within their own pages and few leave; `is_done` says whether they did.
  /// slots, lens on the device: [rows, lists, stride], [rows, lists], lists = 1 or the heads; `counts` are the lens on the host.
  Status KeepInPlace(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, const WnCompactSlotsParams& lists,
                     const std::vector<int32_t>& counts, bool* is_done);
  Status DropLast(Cache& cache, int32_t count);
  /// Gives back leading whole pages whose positions all lie below `before`.
  Status ReleaseBefore(Cache& cache, int32_t layer, int32_t before);
  /// What `Append` puts behind the last slots, or before the last `before` of each head. On the device but for host_counts.
  struct Entries {
    int32_t count;
    const float *keys, *values;
    const int32_t* positions;
    const int32_t* counts;
    const int32_t* host_counts;
    const float* bias;
  };
  Status Append(Cache& cache, int32_t layer, const Entries& entries, int32_t before);
  /// Host copy of a field (WN_READ_*) of a layer, [H, max_len (, head_dim)] f32 or int32.
  Status ReadDown(Cache& cache, int32_t layer, int32_t what, void* out);
  Status Poison(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens);
  Status Hash(Cache& cache, uint64_t* out);
  /// Edits of slots in place, their lists on the device: checked there before anything is written; one host read each. The cache, the
  /// report and the workspace of the params are filled in here.
  Status Merge(Cache& cache, int32_t layer, WnCacheMergeParams edit);
  Status Rotate(Cache& cache, int32_t layer, WnCacheRotateParams edit);
  /// Of the keys of whole pages of slots [0, up_to) only the listed channels [H, stride]; lens by head, -1 leaves one alone. Two host reads.
  Status KeepChannels(Cache& cache, int32_t layer, int32_t up_to, const int32_t* channels, int32_t stride, const int32_t* lens);

  /// Stores keys (0) or values (1) of the whole pages of slots [0, up_to) of every head as codes; packed planes stay as they are.
  Status Quantise(Cache& cache, int32_t layer, int32_t what, int32_t up_to, const WnPlaneFormat& plane);

  /// The layer as kernels see it, valid until the next or until pages are taken. `new_slots` > 0: lens as before an append of so
  /// many, which is in the books already. Packed pages from `first_page` of each head on are unpacked for the op issued next,
  /// those before it read as zeros; an append reads none.
  Status View(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots, WnCacheView* out,
              int64_t first_page = 0);
  Status View(Cache& cache, int32_t layer, WnCacheView* out) { return View({&cache}, {}, layer, 0, out); }
  /// The same with packed pages named as such, for kernels that take formats.
  Status PackedView(const std::vector<Cache*>& caches, const std::vector<int32_t>& ids, int32_t layer, int32_t new_slots, WnCacheView* out);

  /// Gives memory of pages back that no cache holds, pool by pool.
  Status Trim() { return pools_.Trim(); }
  const PagePools& pools() const { return pools_; }
  void PoisonFreedPages(bool on);
  int64_t live_bytes() const;

 private:
  /// Slots that a head keeps behind the pages that stay as they are. count -1: the head is left alone.
  struct Kept {
    int32_t pages, count;
  };
  static bool GrowInPlace(Cache& cache, int32_t layer, int32_t count);
  Status GrowHeads(Cache& cache, int32_t layer, const std::vector<int32_t>& more);
  /// Pages of elements for a layer's heads that are nobody else's; of heads of count 0 none.
  Status OwnPages(Cache& cache, int32_t layer, const std::vector<int32_t>& counts);
  /// Counts of entries, and of each head its first fault, as the check at the head of scratch_ reported them.
  Status ReadReport(int32_t heads, std::vector<int32_t>* counts, std::vector<int32_t>* faults);
  /// A page of elements with what the page of an entry holds, in its place, unless it is one that may be written.
  Status OwnPage(Cache& cache, int32_t layer, int32_t* entry);
  Status CopyPages(PagePool& pool, const std::vector<int32_t>& from, const std::vector<int32_t>& to);
  /// `slots` on the device: row h at h * stride lists those behind the pages that stay.
  Status Gather(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, const std::vector<Kept>& kept);
  /// The same where pages may be packed: whole pages that stay in place keep their codes. Reads the lists, of `capacity` slots each.
  Status KeepPacked(Cache& cache, int32_t layer, const int32_t* slots, int64_t stride, int64_t capacity, std::vector<Kept> kept);
  /// Borrowed pages of elements in the place of the packed ones of a table.
  Status Unpack(const LayerGeometry& shape, std::vector<int32_t>* table);

  std::shared_ptr<Device> device_;
  PagePools pools_;
  std::vector<std::shared_ptr<const CacheLayout>> layouts_;
  int32_t next_id_ = 1;
  std::unordered_map<int32_t, std::unique_ptr<Cache>> caches_;
  BatchViews batches_;
  Buffer scratch_, unpacked_;
};

inline int32_t PagesFor(int32_t slots) { return (slots + kPageSlots - 1) / kPageSlots; }

}  // namespace winnow::gpu
