#pragma once

#include <vector>

#include "../kernels/cache_table.h"
#include "call.h"

/// Arguments that name caches and layers, for the binding files that read them.
namespace winnow {

Cache& CacheOf(const Call& call, int i, const char* what);

/// Caches of one call, at least one, that agree on the layer's geometry.
struct CacheList {
  std::vector<Cache*> caches;
  int32_t layer = 0;
  int32_t rows() const { return static_cast<int32_t>(caches.size()); }
  const LayerGeometry& geometry() const { return caches[0]->geometry(layer); }
  /// Largest number of slots of any row and head of the layer.
  int64_t MaxLen() const;
  const Cache* const* data() const { return caches.data(); }
};
/// `allows_none`: a layer without KV heads will do.
CacheList CachesOf(const Call& call, int i, int layer_argument, bool allows_none = false);
int32_t LayerOf(const Call& call, int i, const Cache& cache);

/// Query heads held in the last axis of q, a whole number of which is a multiple of the KV heads.
int32_t QueryHeadsOf(const Call& call, int64_t width, const LayerGeometry& geometry);

// Called by init_cache and init_scores, which would be too long alone.
void RegisterCacheReads(napi_env env, napi_value exports, Runtime& runtime);
void RegisterCacheEdits(napi_env env, napi_value exports, Runtime& runtime);
void RegisterSlotScores(napi_env env, napi_value exports, Runtime& runtime);
void RegisterListOps(napi_env env, napi_value exports, Runtime& runtime);
void RegisterClusters(napi_env env, napi_value exports, Runtime& runtime);
void RegisterEntries(napi_env env, napi_value exports, Runtime& runtime);
void RegisterVectorOps(napi_env env, napi_value exports, Runtime& runtime);
void RegisterAttendSets(napi_env env, napi_value exports, Runtime& runtime);  // by init_attention
void RegisterPlanMix(napi_env env, napi_value exports, Runtime& runtime);  // by init_attention

}  // namespace winnow
