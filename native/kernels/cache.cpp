#include "cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "pool.h"
#include "quantise.h"

namespace winnow {
namespace {

struct Fnv {
  uint64_t state = 14695981039346656037ull;
  void Add(const void* data, size_t bytes) {
    const auto* byte = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < bytes; i++) state = (state ^ byte[i]) * 1099511628211ull;
  }
};

/// Whether a page must be replaced before elements are written to it.
bool IsFixed(const Page& page) { return page.refs > 1 || page.released; }

bool IsQuantised(const Page& page) { return page.planes[0].format.bits != 0 || page.planes[1].format.bits != 0; }

bool IsValidDim(int32_t dim) { return dim >= 8 && dim <= 256 && dim % 8 == 0; }

/// CopySlot of `count` slots, or their move down in one page.
void MoveSlots(const Page& from, int32_t from_slot, Page& to, int32_t to_slot, int32_t count) {
  if (IsQuantised(from)) {
    for (int32_t i = 0; i < count; i++) CopySlot(from, from_slot + i, to, to_slot + i);
    return;
  }
  for (int what = 0; what < 2; what++) {
    const size_t bytes = static_cast<size_t>(from.dims[what]) * SizeOf(from.element);
    std::memmove(to.planes[what].data + to_slot * bytes, from.planes[what].data + from_slot * bytes, count * bytes);
  }
  const size_t bytes = static_cast<size_t>(count) * 4;
  std::memmove(to.positions + to_slot, from.positions + from_slot, bytes);
  std::memmove(to.counts + to_slot, from.counts + from_slot, bytes);
  std::memmove(to.bias + to_slot, from.bias + from_slot, bytes);
}

bool AnyBias(const Page& page, int32_t used) {
  return std::any_of(page.bias, page.bias + used, [](float bias) { return bias != 0.0f; });
}

}  // namespace

Status MakeLayout(const std::vector<int32_t>& num_kv_heads, const std::vector<int32_t>& head_dim,
                  const std::vector<int32_t>& head_dim_v, DType element, CacheLayout* out) {
  const size_t layers = num_kv_heads.size();
  if (layers == 0 || head_dim.size() != layers || head_dim_v.size() != layers) {
    return Status::Shape("cacheLayout", "three lists of one length, one entry a layer",
                         std::to_string(layers) + ", " + std::to_string(head_dim.size()) + ", " +
                             std::to_string(head_dim_v.size()));
  }
  CacheLayout layout;
  layout.element = element;
  for (size_t layer = 0; layer < layers; layer++) {
    if (num_kv_heads[layer] < 0 || num_kv_heads[layer] > 4096) {
      return Status::Shape("cacheLayout.numKvHeads", "0 to 4096 heads", std::to_string(num_kv_heads[layer]));
    }
    for (const int32_t dim : {head_dim[layer], head_dim_v[layer]}) {
      if (!IsValidDim(dim)) {
        return Status::Shape("cacheLayout.headDim", "a multiple of 8 from 8 to 256", std::to_string(dim));
      }
    }
    layout.layers.push_back({num_kv_heads[layer], head_dim[layer], head_dim_v[layer], layout.total_heads});
    layout.total_heads += num_kv_heads[layer];
  }
  *out = std::move(layout);
  return Status();
}

Cache::Cache(std::shared_ptr<const CacheLayout> layout) : layout_(std::move(layout)), heads_(layout_->total_heads) {}

Cache::~Cache() {
  for (HeadCache& head : heads_) TruncateHead(head, 0);
}

std::unique_ptr<Cache> Cache::Fork() const {
  auto fork = std::make_unique<Cache>(layout_);
  fork->heads_ = heads_;
  for (HeadCache& head : fork->heads_) {
    for (Page* page : head.pages) RetainPage(page);
  }
  return fork;
}

std::unique_ptr<Cache> Cache::Copy() const {
  std::unique_ptr<Cache> copy = Fork();
  for (HeadCache& head : copy->heads_) {
    for (Page*& page : head.pages) {
      if (page->released) continue;
      Page* own = ClonePage(*page);
      ReleasePage(page);
      page = own;
    }
  }
  return copy;
}

int32_t Cache::MaxLen(int32_t layer) const {
  int32_t longest = 0;
  for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++) longest = std::max(longest, head(layer, h).len);
  return longest;
}

void Cache::GrowHead(HeadCache& head, const LayerGeometry& geometry, int32_t count) {
  const int32_t used = head.len % kPageSize;
  if (used != 0 && count > 0) {
    Page*& last = head.pages.back();
    if (IsFixed(*last) || IsQuantised(*last)) {
      Page* fresh = CopyAsElements(*last, used);
      ReleasePage(last);
      last = fresh;
    }
  }
  const int32_t pages = PagesFor(head.len + count);
  head.pages.reserve(pages);
  while (static_cast<int32_t>(head.pages.size()) < pages) {
    head.pages.push_back(NewPage(layout_->element, geometry.head_dim, geometry.head_dim_v));
  }
  for (int32_t slot = head.len; slot < head.len + count; slot++) {
    Page& page = *head.pages[slot / kPageSize];
    page.positions[slot % kPageSize] = 0;
    page.counts[slot % kPageSize] = 1;
    page.bias[slot % kPageSize] = 0.0f;
  }
  head.len += count;
}

void Cache::Grow(int32_t layer, int32_t count) {
  const LayerGeometry& shape = geometry(layer);
  for (int32_t h = 0; h < shape.num_kv_heads; h++) GrowHead(heads_[shape.first_head + h], shape, count);
}

Status Cache::Append(int32_t layer, int32_t count, const float* keys, const float* values, const int32_t* positions,
                     const int32_t* counts, const float* bias, int32_t before) {
  const LayerGeometry& shape = geometry(layer);
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    if (before < 0 || before > head(layer, h).len) {
      return Status::Shape("cacheAppend.before", "0 to " + std::to_string(head(layer, h).len) + " slots of KV head " + std::to_string(h),
                           std::to_string(before));
    }
  }
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    HeadCache& head = heads_[shape.first_head + h];
    const int32_t* own_counts = counts + static_cast<int64_t>(h) * count;
    const auto grown = static_cast<int32_t>(std::count_if(own_counts, own_counts + count, [](int32_t c) { return c >= 0; }));
    const int32_t old = head.len;
    GrowHead(head, shape, grown);
    for (int32_t slot = old - 1; before > 0 && grown > 0 && slot >= old - before; slot--) {
      const Page& from = OwnPage(head, slot / kPageSize, true);
      Page& to = *head.pages[(slot + grown) / kPageSize];
      CopySlot(from, slot % kPageSize, to, (slot + grown) % kPageSize);
      to.has_bias = to.has_bias || from.has_bias;
    }
    int32_t slot = old - before;
    for (int32_t t = 0; t < count; t++) {
      if (own_counts[t] < 0) continue;
      Page& page = *head.pages[slot / kPageSize];
      const int64_t row = static_cast<int64_t>(h) * count + t;
      WriteRow(page, 0, slot % kPageSize, keys + row * shape.head_dim);
      WriteRow(page, 1, slot % kPageSize, values + row * shape.head_dim_v);
      page.positions[slot % kPageSize] = positions[row];
      page.counts[slot % kPageSize] = counts[row];
      page.bias[slot % kPageSize] = bias[row];
      page.has_bias = page.has_bias || bias[row] != 0.0f;
      slot++;
    }
  }
  return Status();
}

Page& Cache::OwnPage(HeadCache& head, int32_t index, bool elements) {
  Page*& page = head.pages[index];
  const bool packed = elements && IsQuantised(*page);
  if (IsFixed(*page) || packed) {
    Page* fresh = packed ? CopyAsElements(*page, UsedSlots(head.len, index)) : ClonePage(*page);
    ReleasePage(page);
    page = fresh;
  }
  return *page;
}

void Cache::TruncateHead(HeadCache& head, int32_t len) {
  const int32_t pages = PagesFor(len);
  for (size_t i = pages; i < head.pages.size(); i++) ReleasePage(head.pages[i]);
  head.pages.resize(pages);
  head.len = len;
}

void Cache::KeepHead(HeadCache& head, const LayerGeometry& geometry, const int32_t* slots, int32_t count) {
  int32_t same = 0;
  while (same < count && slots[same] == same) same++;
  if (same == count) {
    TruncateHead(head, count);
    return;
  }
  // Whole pages that stay in place are left alone; from there on slots move down, never up, so a private element page can
  // be written in place while later slots are still to be read.
  const int32_t first_page = same / kPageSize;
  std::vector<Page*> retired;
  for (int32_t index = first_page; index < PagesFor(count); index++) {
    Page* target = head.pages[index];
    const int32_t end = std::min(count, (index + 1) * kPageSize);
    if (IsFixed(*target) || IsQuantised(*target)) {
      retired.push_back(target);
      target = NewPage(layout_->element, geometry.head_dim, geometry.head_dim_v, end - index * kPageSize);
    }
    for (int32_t slot = index * kPageSize; slot < end;) {
      const int32_t from = slots[slot];
      const Page* source = head.pages[from / kPageSize];
      // Slots that lie one behind the other in a page move together: a list that drops one slot moves all behind it.
      const int32_t most = std::min(end - slot, kPageSize - from % kPageSize);
      int32_t run = 1;
      while (run < most && slots[slot + run] == from + run) run++;
      if (source != target || from % kPageSize != slot % kPageSize) {
        MoveSlots(*source, from % kPageSize, *target, slot % kPageSize, run);
      }
      slot += run;
    }
    target->has_bias = AnyBias(*target, end - index * kPageSize);
    head.pages[index] = target;
  }
  for (Page* page : retired) ReleasePage(page);
  TruncateHead(head, count);
}

Status Cache::CheckList(const std::string& op, const HeadCache& head, int32_t kv_head, const int32_t* slots, int32_t count,
                        int64_t stride) {
  if (count < -1 || count > stride) {
    return Status::Shape(op + ".lens", "-1 to " + std::to_string(stride) + " slots", std::to_string(count));
  }
  for (int32_t i = 0; i < count; i++) {
    const int32_t least = i == 0 ? 0 : slots[i - 1] + 1;
    if (slots[i] < least || slots[i] >= head.len) {
      return Status::Shape(op + ".slots", "ascending slots below " + std::to_string(head.len) + " in KV head " + std::to_string(kv_head),
                           std::to_string(slots[i]) + " at index " + std::to_string(i));
    }
  }
  return Status();
}

Status Cache::CheckSlots(const char* op, int32_t layer, const int32_t* slots, int64_t stride,
                         const int32_t* lens) const {
  for (int32_t h = 0; h < geometry(layer).num_kv_heads; h++) {
    WINNOW_TRY(CheckList(op, head(layer, h), h, slots + h * stride, lens[h], stride));
  }
  return Status();
}

Status Cache::Keep(int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens) {
  return KeepRows({this}, layer, slots, stride, lens, geometry(layer).num_kv_heads);
}

Status Cache::KeepRows(const std::vector<Cache*>& caches, int32_t layer, const int32_t* slots, int64_t stride, const int32_t* lens,
                       int64_t lists) {
  if (caches.empty()) return Status();
  const LayerGeometry& shape = caches[0]->geometry(layer);
  const int64_t heads = shape.num_kv_heads;
  std::vector<Cache*> sorted = caches;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return Status::Shape("cacheKeep.caches", "every cache once", "one twice");
  }
  const auto list_of = [&](int64_t task) { return lists == 1 ? task / heads : task; };
  const auto head_of = [&](int64_t task) -> HeadCache& { return caches[task / heads]->heads_[shape.first_head + task % heads]; };
  const int64_t tasks = static_cast<int64_t>(caches.size()) * heads;
  for (int64_t task = 0; task < tasks; task++) {
    const int64_t list = list_of(task);
    WINNOW_TRY(CheckList("cacheKeep", head_of(task), static_cast<int32_t>(task % heads), slots + list * stride, lens[list], stride));
  }
  Pool::Instance().ParallelFor(tasks, [&](int64_t task) {
    const int64_t list = list_of(task);
    if (lens[list] >= 0) caches[task / heads]->KeepHead(head_of(task), shape, slots + list * stride, lens[list]);
  });
  return Status();
}

Status Cache::DropLast(int32_t count) {
  if (count < 0) return Status::Shape("cacheDropLast.count", "0 or more slots", std::to_string(count));
  for (const HeadCache& head : heads_) {
    if (head.len < count) {
      return Status::Shape("cacheDropLast.count", "at most " + std::to_string(head.len) + " slots (the shortest head)",
                           std::to_string(count));
    }
  }
  for (HeadCache& head : heads_) TruncateHead(head, head.len - count);
  return Status();
}

void Cache::ReleaseBefore(int32_t layer, int32_t before) {
  const LayerGeometry& shape = geometry(layer);
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    HeadCache& head = heads_[shape.first_head + h];
    Page* released = nullptr;
    for (int32_t index = 0; index < head.len / kPageSize; index++) {
      Page*& page = head.pages[index];
      if (page->released) {
        released = page;
        continue;
      }
      if (*std::max_element(page->positions, page->positions + kPageSize) >= before) break;
      if (released != nullptr) RetainPage(released);
      else released = ReleasedPage(layout_->element, shape.head_dim, shape.head_dim_v);
      ReleasePage(page);
      page = released;
    }
  }
}

Status Cache::Quantise(int32_t layer, int32_t what, int32_t up_to, PlaneFormat format) {
  const LayerGeometry& shape = geometry(layer);
  WINNOW_TRY(CheckFormat("cacheQuantise", format.bits, format.group, format.along, kPageSize,
                         what == 0 ? shape.head_dim : shape.head_dim_v));
  if (up_to < 0) return Status::Shape("cacheQuantise.upTo", "0 or more slots", std::to_string(up_to));
  std::vector<Page*> todo;
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    HeadCache& head = heads_[shape.first_head + h];
    const int32_t pages = std::min(up_to, head.len) / kPageSize;
    for (int32_t index = 0; index < pages; index++) {
      Page*& page = head.pages[index];
      if (page->planes[what].format.bits != 0 || page->released) continue;
      if (page->refs > 1) {
        Page* fresh = ClonePage(*page);
        ReleasePage(page);
        page = fresh;
      }
      todo.push_back(page);
    }
  }
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelRanges(static_cast<int64_t>(todo.size()), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      if (!QuantisePlane(*todo[i], what, format)) has_memory = false;
    }
  });
  if (!has_memory) return Status::Fail(Code::kOutOfMemory, "cacheQuantise", "memory for codes", "none");
  return Status();
}

int64_t Cache::HeadBytes(int32_t layer, int32_t kv_head) const {
  const HeadCache& slots = head(layer, kv_head);
  int64_t bytes = 0;
  for (size_t index = 0; index < slots.pages.size(); index++) {
    const Page& page = *slots.pages[index];
    if (page.released) continue;
    for (int what = 0; what < 2; what++) {
      const PlaneFormat format = page.planes[what].format;
      bytes += format.bits != 0
                   ? static_cast<int64_t>(PlaneBytes(format, page.dims[what], page.element))
                   : static_cast<int64_t>(UsedSlots(slots.len, static_cast<int32_t>(index))) * page.dims[what] *
                         static_cast<int64_t>(SizeOf(page.element));
    }
  }
  return bytes;
}

int64_t Cache::Bytes() const {
  int64_t bytes = 0;
  for (size_t layer = 0; layer < layout_->layers.size(); layer++) {
    for (int32_t h = 0; h < layout_->layers[layer].num_kv_heads; h++) bytes += HeadBytes(static_cast<int32_t>(layer), h);
  }
  return bytes;
}

uint64_t Cache::Hash() const {
  Fnv hash;
  std::vector<float> rows;
  for (const HeadCache& head : heads_) {
    hash.Add(&head.len, sizeof head.len);
    for (size_t index = 0; index < head.pages.size(); index++) {
      const Page& page = *head.pages[index];
      const int32_t used = UsedSlots(head.len, static_cast<int32_t>(index));
      for (int what = 0; what < 2; what++) {
        rows.resize(static_cast<size_t>(used) * page.dims[what]);
        ReadRows(page, what, 0, used, rows.data(), page.dims[what]);
        hash.Add(rows.data(), rows.size() * sizeof(float));
      }
      hash.Add(page.positions, used * sizeof(int32_t));
      hash.Add(page.counts, used * sizeof(int32_t));
      hash.Add(page.bias, used * sizeof(float));
    }
  }
  return hash.state;
}

}  // namespace winnow
