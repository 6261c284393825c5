#include "cache_table.h"

namespace winnow {

LayoutId CacheTable::AddLayout(CacheLayout layout) {
  layouts_.push_back(std::make_shared<const CacheLayout>(std::move(layout)));
  return static_cast<LayoutId>(layouts_.size());
}

Status CacheTable::Insert(std::unique_ptr<Cache> cache, CacheId* out) {
  if (free_.empty()) {
    if (slots_.size() >= (size_t{1} << kIndexBits) - 1) {
      return Status::Fail(Code::kOutOfMemory, "cache", "at most 262143 live caches", std::to_string(slots_.size()));
    }
    free_.push_back(static_cast<int32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const int32_t index = free_.back();
  free_.pop_back();
  slots_[index].cache = std::move(cache);
  *out = slots_[index].generation << kIndexBits | (index + 1);
  return Status();
}

const CacheTable::Slot* CacheTable::Find(int64_t id) const {
  const int64_t index = (id & ((int64_t{1} << kIndexBits) - 1)) - 1;
  if (id <= 0 || index < 0 || index >= static_cast<int64_t>(slots_.size())) return nullptr;
  const Slot& slot = slots_[index];
  return slot.cache != nullptr && slot.generation == id >> kIndexBits ? &slot : nullptr;
}

Status CacheTable::Create(LayoutId layout, CacheId* out) {
  if (layout < 1 || layout > static_cast<LayoutId>(layouts_.size())) {
    return Status::Shape("cacheCreate.layout", "an id of cacheLayout", std::to_string(layout));
  }
  return Insert(std::make_unique<Cache>(layouts_[layout - 1]), out);
}

Status CacheTable::Fork(CacheId cache, CacheId* out) {
  Cache* from = nullptr;
  WINNOW_TRY(Get(cache, "cacheFork.cache", &from));
  return Insert(from->Fork(), out);
}

Status CacheTable::Copy(CacheId cache, CacheId* out) {
  Cache* from = nullptr;
  WINNOW_TRY(Get(cache, "cacheCopy.cache", &from));
  return Insert(from->Copy(), out);
}

Status CacheTable::Free(CacheId cache) {
  Cache* found = nullptr;
  WINNOW_TRY(Get(cache, "cacheFree.cache", &found));
  const int32_t index = (cache & ((1 << kIndexBits) - 1)) - 1;
  Slot& slot = slots_[index];
  slot.cache.reset();
  slot.generation = slot.generation % (kGenerations - 1) + 1;
  free_.push_back(index);
  return Status();
}

Status CacheTable::Get(int64_t cache, const char* where, Cache** out) const {
  const Slot* slot = Find(cache);
  if (slot == nullptr) return Status::Shape(where, "the id of a live cache", std::to_string(cache));
  *out = slot->cache.get();
  return Status();
}

}  // namespace winnow
