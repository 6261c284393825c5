#pragma once

#include <vector>

#include "backend.h"

/// Arguments that name caches and layers, and the view of them that kernels take.
namespace winnow::gpu {

Cache& CacheOf(const Call& call, int i, const char* what);
int32_t LayerOf(const Call& call, int i, const Cache& cache);

/// Caches of one call, at least one, that agree on the layer's geometry.
struct CacheList {
  std::vector<Cache*> caches;
  std::vector<int32_t> ids;
  int32_t layer = 0;
  int32_t rows() const { return static_cast<int32_t>(caches.size()); }
  const LayerGeometry& geometry() const { return caches[0]->geometry(layer); }
  /// Largest number of slots of any row and head of the layer.
  int32_t MaxLen() const;
};
/// `allows_none`: a layer without KV heads will do.
CacheList CachesOf(const Call& call, int i, int layer_argument, bool allows_none = false);

/// Page tables and lens on the device, valid until the next view is made. `new_slots` > 0: lens as they were before so many
/// slots were appended, which the books already hold. Packed pages before `first_page` of a head need not be read.
WnCacheView ViewOf(const Call& call, const CacheList& list, int32_t new_slots = 0, int64_t first_page = 0);

/// Query heads held in the last axis of q, a whole number of which is a multiple of the KV heads.
int32_t QueryHeadsOf(const Call& call, int64_t width, const LayerGeometry& geometry);

/// Bytes of live pages into the runtime's counter.
void CountPages(const Call& call);

/// The values of a device tensor on the host: a host read, unless they are known.
std::vector<int32_t> ReadInts(const Call& call, const Tensor& t);

}  // namespace winnow::gpu
