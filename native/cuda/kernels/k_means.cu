#include "winnow_cuda/k_means.h"

#include "group_sums.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kSeedWarps = 16, kSeedThreads = 32 * kSeedWarps;
/// Slots and centroids of a tile of products, and channels of a step.
constexpr int kTile = 64, kStep = 16, kPerThread = 4;

struct KMeansArgs {
  WnKMeansParams p;
  float* offsets;  ///< |c|^2 / 2 of each centroid
  float* nearest;  ///< of each slot, the distance to the nearest seed so far
};

WN_DEVICE int clusters_of(const WnKMeansParams& p, int64_t list) { return min(p.clusters, p.cache.kv_lens[list]); }
WN_DEVICE float* centroid_of(const WnKMeansParams& p, int64_t list, int cluster) {
  return p.centroids + (list * p.clusters + cluster) * p.cache.head_dim;
}

/// By one warp.
WN_DEVICE void store_centroid(const KMeansArgs& args, int64_t list, int cluster, const LaneVector& x) {
  const WnKMeansParams& p = args.p;
  x.store(centroid_of(p, list, cluster), p.cache.head_dim);
  const float square = x.squares();
  if ((threadIdx.x & 31) == 0) args.offsets[list * p.clusters + cluster] = 0.5f * square;
}
WN_DEVICE LaneVector load_slot(const WnKMeansParams& p, int64_t list, int slot) {
  LaneVector x;
  x.load(arena_row(p.cache, arena_slot(p.cache, list, slot), p.what), p.cache.head_dim);
  return x;
}

/// A warp per cluster: its evenly spaced slot, or 0 where the list has no such cluster.
__global__ void __launch_bounds__(kThreads) spaced_seeds_kernel(const __grid_constant__ KMeansArgs args) {
  const WnKMeansParams& p = args.p;
  const int cluster = blockIdx.x * kWarps + threadIdx.x / 32;
  if (cluster >= p.clusters) return;
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + blockIdx.y;
  const int len = p.cache.kv_lens[list], clusters = clusters_of(p, list);
  LaneVector x;
  x.clear();
  if (cluster < clusters) x = load_slot(p, list, static_cast<int>((2LL * cluster + 1) * len / (2LL * clusters)));
  store_centroid(args, list, cluster, x);
}

/// The first slot at which the running sum of squared distances passes `draw` of it; the last one with a distance where rounding
/// hides it, 0 where all distances are 0. A thread sums a stretch of slots, the block the stretches.
WN_DEVICE int draw_slot(const float* nearest, int len, double draw, double* sums, int* found) {
  const int stretch = ceil_div(len, kSeedThreads), begin = min(len, static_cast<int>(threadIdx.x) * stretch), end = min(len, begin + stretch);
  double own = 0;
  int last = -1;
  for (int s = begin; s < end; s++) {
    own += static_cast<double>(nearest[s]) * nearest[s];
    if (nearest[s] != 0) last = s;
  }
  if (threadIdx.x == 0) {
    found[0] = kSeedThreads;
    found[1] = 0;
  }
  sums[threadIdx.x] = own;
  __syncthreads();
  for (int step = 1; step < kSeedThreads; step *= 2) {
    const double before = static_cast<int>(threadIdx.x) >= step ? sums[threadIdx.x - step] : 0;
    __syncthreads();
    sums[threadIdx.x] += before;
    __syncthreads();
  }
  const double wanted = draw * sums[kSeedThreads - 1];
  if (last >= 0 && sums[threadIdx.x] > wanted) atomicMin(&found[0], static_cast<int>(threadIdx.x));
  if (last >= 0) atomicMax(&found[1], last);
  __syncthreads();
  if (found[0] == static_cast<int>(threadIdx.x)) {
    double sum = threadIdx.x == 0 ? 0 : sums[threadIdx.x - 1];
    int chosen = last;
    for (int s = begin; s <= last; s++) {
      sum += static_cast<double>(nearest[s]) * nearest[s];
      if (nearest[s] == 0 || sum <= wanted) continue;
      chosen = s;
      break;
    }
    found[1] = chosen;
  }
  __syncthreads();
  return found[1];
}

/// A block per list.
__global__ void __launch_bounds__(kSeedThreads) plus_plus_seeds_kernel(const __grid_constant__ KMeansArgs args) {
  const WnKMeansParams& p = args.p;
  __shared__ double sums[kSeedThreads];
  __shared__ int found[2];
  const int64_t list = blockIdx.x;
  const int len = p.cache.kv_lens[list], clusters = clusters_of(p, list), warp = threadIdx.x / 32, lane = threadIdx.x & 31;
  const uint64_t stream = p.layer << 20 | static_cast<uint64_t>(list % p.cache.num_kv_heads);
  float* nearest = args.nearest + list * p.max_len;
  int slot = min(len - 1, static_cast<int>(uniform_draw(p.seed, stream, 0) * len));
  for (int i = 0; i < clusters; i++) {
    const LaneVector seed = load_slot(p, list, slot);
    if (warp == 0) store_centroid(args, list, i, seed);
    if (i + 1 == clusters) break;
    for (int s = warp; s < len; s += kSeedWarps) {
      LaneVector x = load_slot(p, list, s);
      x.add(seed, -1);
      const float distance = sqrtf(x.squares());
      if (lane == 0 && (i == 0 || distance < nearest[s])) nearest[s] = distance;
    }
    __syncthreads();
    slot = draw_slot(nearest, len, uniform_draw(p.seed, stream, static_cast<uint64_t>(i) + 1), sums, found);
    __syncthreads();
  }
  LaneVector none;
  none.clear();
  for (int i = clusters + warp; i < p.clusters; i += kSeedWarps) store_centroid(args, list, i, none);
}

/// A block gives 64 slots of a list to their clusters: products with 64 centroids at a time, four by four a thread.
__global__ void __launch_bounds__(kThreads) assign_kernel(const __grid_constant__ KMeansArgs args) {
  const WnKMeansParams& p = args.p;
  alignas(16) __shared__ float slots[kStep][kTile + 4], centroids[kStep][kTile + 4];
  __shared__ float best_scores[kTile][kTile / kPerThread + 1];
  __shared__ int best_clusters[kTile][kTile / kPerThread + 1];
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + blockIdx.y;
  const int len = p.cache.kv_lens[list], clusters = clusters_of(p, list), d = p.cache.head_dim, first = blockIdx.x * kTile;
  const int row = threadIdx.x / (kTile / kPerThread), column = threadIdx.x % (kTile / kPerThread);
  float best[kPerThread];
  int chosen[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    best[i] = -INFINITY;
    chosen[i] = 0;
  }
  for (int base = 0; base < clusters && first < len; base += kTile) {
    float product[kPerThread][kPerThread] = {};
    for (int from = 0; from < d; from += kStep) {
      __syncthreads();
      for (int i = threadIdx.x; i < kTile * kStep; i += kThreads) {
        const int at = i / kStep, channel = from + i % kStep, slot = first + at, cluster = base + at;
        slots[i % kStep][at] =
            slot < len && channel < d ? __bfloat162float(arena_row(p.cache, arena_slot(p.cache, list, slot), p.what)[channel]) : 0.0f;
        centroids[i % kStep][at] = cluster < clusters && channel < d ? centroid_of(p, list, cluster)[channel] : 0.0f;
      }
      __syncthreads();
#pragma unroll
      for (int c = 0; c < kStep; c++) {
        const float4 x = *reinterpret_cast<const float4*>(&slots[c][kPerThread * row]);
        const float4 y = *reinterpret_cast<const float4*>(&centroids[c][kPerThread * column]);
        const float xs[kPerThread] = {x.x, x.y, x.z, x.w}, ys[kPerThread] = {y.x, y.y, y.z, y.w};
#pragma unroll
        for (int i = 0; i < kPerThread; i++)
#pragma unroll
          for (int j = 0; j < kPerThread; j++) product[i][j] = fmaf(xs[i], ys[j], product[i][j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kPerThread; j++) {
      const int cluster = base + kPerThread * column + j;
      const float offset = cluster < clusters ? args.offsets[list * p.clusters + cluster] : INFINITY;
#pragma unroll
      for (int i = 0; i < kPerThread; i++) {
        const float score = product[i][j] - offset;
        if (score > best[i]) {
          best[i] = score;
          chosen[i] = cluster;
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    best_scores[kPerThread * row + i][column] = best[i];
    best_clusters[kPerThread * row + i][column] = chosen[i];
  }
  __syncthreads();
  const int slot = first + static_cast<int>(threadIdx.x);
  if (threadIdx.x >= kTile || slot >= p.max_len) return;
  float score = best_scores[threadIdx.x][0];
  int cluster = best_clusters[threadIdx.x][0];
  for (int i = 1; i < kTile / kPerThread; i++) {
    const float next = best_scores[threadIdx.x][i];
    const int other = best_clusters[threadIdx.x][i];
    if (next > score || (next == score && other < cluster)) {
      score = next;
      cluster = other;
    }
  }
  p.assignment[list * p.max_len + slot] = slot < len ? cluster : -1;
}

/// A warp per cluster: its size, and its centroid moved to the mean of its slots where there are any and more rounds come.
__global__ void __launch_bounds__(kThreads) update_kernel(const __grid_constant__ KMeansArgs args, int is_last) {
  const WnKMeansParams& p = args.p;
  const int cluster = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x & 31;
  if (cluster >= p.clusters) return;
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + blockIdx.y;
  const int32_t* assignment = p.assignment + list * p.max_len;
  const int len = p.cache.kv_lens[list];
  if (!is_last) {
    LaneVector mean;
    if (group_mean(p.cache, list, p.what, assignment, len, cluster, &mean) > 0) store_centroid(args, list, cluster, mean);
    return;
  }
  int size = 0;
  for (int base = 0; base < len; base += 32) {
    const int own = assignment[min(base + lane, len - 1)];
    size += __popc(__ballot_sync(~0u, own == cluster && base + lane < len));
  }
  if (lane == 0) p.sizes[list * p.clusters + cluster] = size;
}

int64_t offset_bytes(const WnKMeansParams& p) {
  return ceil_div(static_cast<int64_t>(p.cache.rows) * p.cache.num_kv_heads * p.clusters * 4, 16) * 16;
}

}  // namespace
}  // namespace winnow

int64_t wn_k_means_workspace_bytes(const WnKMeansParams* p) {
  const int64_t nearest = p->seeding == WN_SEEDS_PLUS_PLUS ? int64_t{4} * p->cache.rows * p->cache.num_kv_heads * p->max_len : 0;
  return winnow::offset_bytes(*p) + nearest;
}

WnStatus wn_k_means(const WnKMeansParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "k_means: params is null");
  const WnKMeansParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.centroids && p.sizes && (p.assignment || p.max_len == 0), "k_means: pointers or sizes");
  WN_REQUIRE(p.clusters >= 1 && p.clusters <= 65536 && p.iterations >= 0 && p.iterations <= 1000, "k_means: clusters or iterations");
  WN_REQUIRE(p.max_len >= 0 && (p.what == 0 || p.what == 1), "k_means: max_len or what");
  WN_REQUIRE(p.seeding == WN_SEEDS_SPACED || p.seeding == WN_SEEDS_PLUS_PLUS, "k_means: seeding");
  WN_REQUIRE(p.workspace && aligned(p.workspace, 16) && p.workspace_bytes >= wn_k_means_workspace_bytes(&p), "k_means: workspace");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const KMeansArgs args{p, static_cast<float*>(p.workspace),
                        reinterpret_cast<float*>(static_cast<char*>(p.workspace) + offset_bytes(p))};
  const dim3 by_cluster(ceil_div(p.clusters, kWarps), p.cache.num_kv_heads, p.cache.rows);
  const dim3 by_slots(ceil_div(p.max_len, kTile), p.cache.num_kv_heads, p.cache.rows);
  if (p.seeding == WN_SEEDS_SPACED) spaced_seeds_kernel<<<by_cluster, kThreads, 0, cuda_stream>>>(args);
  else plus_plus_seeds_kernel<<<p.cache.rows * p.cache.num_kv_heads, kSeedThreads, 0, cuda_stream>>>(args);
  for (int round = 0; round <= p.iterations; round++) {
    if (p.max_len > 0) assign_kernel<<<by_slots, kThreads, 0, cuda_stream>>>(args);
    update_kernel<<<by_cluster, kThreads, 0, cuda_stream>>>(args, round == p.iterations ? 1 : 0);
  }
  return launch_status("k_means");
}
