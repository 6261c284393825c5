/// Ids of layouts and caches. An id carries a generation, so one that was freed is refused and never another cache.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache.h"
#include "status.h"

namespace winnow {

using LayoutId = int32_t;  ///< 0 is never valid
using CacheId = int32_t;   ///< 0 is never valid

class CacheTable {
 public:
  LayoutId AddLayout(CacheLayout layout);
  Status Create(LayoutId layout, CacheId* out);
  Status Fork(CacheId cache, CacheId* out);
  Status Copy(CacheId cache, CacheId* out);
  Status Free(CacheId cache);
  /// `where` names the argument in the message ("cacheKeep.cache").
  Status Get(int64_t cache, const char* where, Cache** out) const;

 private:
  static constexpr int32_t kIndexBits = 18;
  static constexpr int32_t kGenerations = 1 << 12;
  struct Slot {
    std::unique_ptr<Cache> cache;
    int32_t generation = 1;
  };
  Status Insert(std::unique_ptr<Cache> cache, CacheId* out);
  const Slot* Find(int64_t id) const;

  std::vector<std::shared_ptr<const CacheLayout>> layouts_;
  std::vector<Slot> slots_;
  std::vector<int32_t> free_;
};

}  // namespace winnow
