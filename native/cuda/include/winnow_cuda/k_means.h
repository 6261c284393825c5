#ifndef WINNOW_CUDA_K_MEANS_H
#define WINNOW_CUDA_K_MEANS_H

#include "cache_view.h"

enum { WN_SEEDS_SPACED = 0, WN_SEEDS_PLUS_PLUS = 1 };

typedef struct WnKMeansParams {
  WnCacheView cache;
  float* centroids;
  int32_t* assignment;
  int32_t* sizes;
  void* workspace;
  int64_t workspace_bytes;
  uint64_t seed, layer;  ///< of WN_SEEDS_PLUS_PLUS
  int32_t clusters, iterations;
  int32_t max_len;  ///< host: at least every kv_len
  int32_t what;     ///< 0 keys, 1 values
  int32_t seeding;  ///< WN_SEEDS_*
} WnKMeansParams;

/// Lloyd's k-means over the slots of each head, by Euclidean distance: seeds, then `iterations` rounds of assignment and mean,
/// then the assignment to the last centroids. A cluster without members keeps its centroid; ties go to the lower cluster.
///
/// Seeds: spaced takes slot floor((i + 1/2) n / k); plus-plus draws the next seed with probability proportional to the squared
/// distance to the nearest seed so far, by a hash of (seed, layer, head, i), the same for every row. A head of fewer slots than
/// clusters has as many clusters as slots; the rest have size 0 and centroid 0.
///
/// Shapes    centroids   [rows, num_kv_heads, clusters, head_dim]  f32
///           assignment  [rows, num_kv_heads, max_len]  int32, -1 beyond a head's length
///           sizes       [rows, num_kv_heads, clusters]  int32, of the assignment returned
///           workspace   wn_k_means_workspace_bytes, 16-byte aligned; contents need no preparation
/// Limits    1 <= clusters <= 65536; 0 <= iterations <= 1000
/// Error     distances are compared as x.c - |c|^2 / 2, products in channel order, sums in slot order, all f32: bitwise
///           repeatable; against fp64 a slot may fall to another of two clusters that are equally near within rounding
/// Cost      (iterations + 1) * slots * clusters * head_dim multiply-adds; plus-plus reads the slots once a cluster, by one
///           block a head; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
/// Source    Lloyd 1982; seeds: Arthur and Vassilvitskii 2007
WN_API WnStatus wn_k_means(const WnKMeansParams* params, void* stream);
WN_API int64_t wn_k_means_workspace_bytes(const WnKMeansParams* params);

#endif
