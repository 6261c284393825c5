#pragma once

#include "cache.h"
#include "isa.h"
#include "status.h"

namespace winnow {

enum class Seeding : int32_t { kSpaced = 0, kPlusPlus = 1 };

struct KMeansParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t what;  ///< 0 keys, 1 values
  int32_t clusters;
  int32_t iterations;
  Seeding seeding;
  uint64_t seed;
  int64_t max_len;
  float* centroids;
  int32_t* assignment;
  int32_t* sizes;
};

/// Lloyd's k-means over the slots of each head, by Euclidean distance: seeds, then `iterations` rounds of assignment and mean, then
/// the assignment to the last centroids. A cluster without members keeps its centroid.
///
/// Seeds: spaced takes slot floor((i + 1/2) n / k); plus-plus draws the next seed with probability proportional to the squared
/// distance to the nearest seed so far, by a hash of (seed, layer, head, i), the same for every row. A head of fewer slots than
/// clusters has as many clusters as slots; the rest have size 0 and centroid 0.
///
/// Shapes    centroids   [rows, num_kv_heads, clusters, dim]   f32
///           assignment  [rows, num_kv_heads, max_len]         int32, -1 beyond a head's length; ties to the lower cluster
///           sizes       [rows, num_kv_heads, clusters]        int32, of the assignment returned
/// Limits    1 <= clusters <= 65536, 0 <= iterations <= 1000
/// Error     the same bits on every instruction set and thread count; distances are compared as x.c - |c|^2 / 2 in f32
/// Cost      (iterations + 1) x slots x clusters x dim multiply-adds; scratch of one head's rows and centroids a thread
/// Source    Lloyd 1982; seeds: Arthur and Vassilvitskii 2007
Status KMeans(const Context& context, const KMeansParams& params);
/// The same from given seeds [k][dim] over rows [n][dim], in fp64.
void KMeansReference(const double* x, int64_t n, int32_t dim, const double* seeds, int32_t clusters, int32_t iterations,
                     double* centroids, int32_t* assignment);

struct GroupMeansParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t what;
  int32_t groups;
  int64_t max_len;
  const int32_t* assignment;
  float* out;
};

/// Mean key or value of each group of a head's slots; a group without members is 0.
///
/// Shapes    assignment  [rows, num_kv_heads, max_len]       int32, a group or -1 (none)
///           out         [rows, num_kv_heads, groups, dim]   f32
/// Error     f32 relative RMS 1e-6; sums in slot order: the same bits on every instruction set
Status GroupMeans(const Context& context, const GroupMeansParams& params);
void GroupMeansRef(const GroupMeansParams& params, double* out);

struct KMeansKernels {
  /// Index of the largest x . c - offset[c] over `panels` panels of 16 centroids, each [dim][16]; ties to the lower index.
  int32_t (*nearest)(const float* x, const float* panels, const float* offsets, int32_t count, int32_t dim);
};
WINNOW_DECLARE_KERNELS(KMeansKernels);

}  // namespace winnow
