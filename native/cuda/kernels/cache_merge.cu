#include "edit_check.cuh"
#include "lane_vector.cuh"

namespace winnow {
namespace {

constexpr int kSortThreads = 1024, kWarps = 8;
constexpr uint64_t kDropped = ~uint64_t{0};

struct MergeArgs {
  WnCacheMergeParams p;
  uint64_t* order;  ///< of each head `places` words: target above entry, ascending
  int places;
};

WN_DEVICE bool gives(const WnCacheMergeParams& p, int64_t entry) { return p.into[entry] >= 0 && p.weight[entry] > 0; }

__global__ void __launch_bounds__(kCheckThreads) merge_check_kernel(const __grid_constant__ WnCacheMergeParams p) {
  __shared__ int first_fault;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * p.stride;
  const int32_t *from = p.from + first, *into = p.into + first;
  const int len = p.cache.kv_lens[blockIdx.x], count = p.lens[blockIdx.x];
  report_faults(p.report, p.cache.num_kv_heads, &first_fault, count, count >= -1 && count <= p.stride, [&](int i) {
    if (from[i] < (i == 0 ? 0 : from[i - 1]) || from[i] >= len) return static_cast<int>(WN_FAULT_SLOT);
    if (into[i] < -1 || into[i] >= len) return static_cast<int>(WN_FAULT_TARGET);
    const float weight = p.weight[first + i];
    if (!(weight >= 0 && weight < INFINITY)) return static_cast<int>(WN_FAULT_AMOUNT);
    int low = 0, high = count;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (from[middle] < into[i]) low = middle + 1;
      else high = middle;
    }
    return into[i] >= 0 && low < count && from[low] == into[i] ? static_cast<int>(WN_FAULT_TARGET) : -1;
  });
}

/// A block sorts the entries of one head by target and then by place: a bitonic network over a power of two of places.
__global__ void __launch_bounds__(kSortThreads) merge_order_kernel(const __grid_constant__ MergeArgs args) {
  const WnCacheMergeParams& p = args.p;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * p.stride;
  uint64_t* order = args.order + static_cast<int64_t>(blockIdx.x) * args.places;
  const int count = p.lens[blockIdx.x];
  for (int i = threadIdx.x; i < args.places; i += kSortThreads)
    order[i] = i < count && gives(p, first + i) ? static_cast<uint64_t>(p.into[first + i]) << 32 | static_cast<uint32_t>(i) : kDropped;
  for (int run = 2; run <= args.places; run *= 2)
    for (int step = run / 2; step > 0; step /= 2) {
      __syncthreads();
      for (int i = threadIdx.x; i < args.places / 2; i += kSortThreads) {
        const int low = i / step * 2 * step + i % step, high = low + step;
        const uint64_t a = order[low], b = order[high];
        if ((a > b) == ((low & run) == 0)) {
          order[low] = b;
          order[high] = a;
        }
      }
    }
}

/// Weighted sum of vectors, as a mean of them or of their directions.
struct Blend {
  LaneVector sum;
  float weight = 0, norms = 0;
  bool as_direction;

  WN_DEVICE explicit Blend(bool direction) : as_direction(direction) { sum.clear(); }
  WN_DEVICE void add(const LaneVector& x, float w) {
    weight += w;
    if (!as_direction) {
      sum.add(x, w);
      return;
    }
    const float norm = sqrtf(x.squares());
    norms = fmaf(w, norm, norms);
    sum.add(x, norm > 0 ? w / norm : 0.0f);
  }
  WN_DEVICE void finish() {
    const float length = as_direction ? sqrtf(sum.squares()) : 1.0f;
    sum.scale(!as_direction ? 1.0f / weight : length > 0 ? norms / weight / length : 0.0f);
  }
};

/// Tokens that an entry brings: all of its source's, where no entry of that source before it gives anything.
WN_DEVICE int given_count(const WnCacheMergeParams& p, int64_t first, int i, int64_t source) {
  for (int k = i - 1; k >= 0 && p.from[first + k] == p.from[first + i]; k--)
    if (gives(p, first + k)) return 0;
  return p.cache.counts[source];
}

/// A warp per run of entries of one target.
__global__ void __launch_bounds__(32 * kWarps, 1) merge_kernel(const __grid_constant__ MergeArgs args) {
  const WnCacheMergeParams& p = args.p;
  const int begin = blockIdx.x * kWarps + threadIdx.x / 32, head = blockIdx.y, d = p.cache.head_dim;
  const uint64_t* order = args.order + static_cast<int64_t>(head) * args.places;
  if (begin >= args.places || order[begin] == kDropped) return;
  const auto into = static_cast<int>(order[begin] >> 32);
  if (begin > 0 && static_cast<int>(order[begin - 1] >> 32) == into) return;
  const int64_t target = arena_slot(p.cache, head, into), first = static_cast<int64_t>(head) * p.stride;
  if (target / 64 == p.frozen_page) return;
  const int count = p.cache.counts[target];
  int end = begin, given = 0;
  for (; end < args.places && static_cast<int>(order[end] >> 32) == into && order[end] != kDropped; end++) {
    const auto i = static_cast<int>(static_cast<uint32_t>(order[end]));
    given += given_count(p, first, i, arena_slot(p.cache, head, p.from[first + i]));
  }
  for (int what = p.keys == WN_MERGE_KEYS_NONE ? 1 : 0; what < 2; what++) {
    const bool adds = what == 1 && p.values == WN_MERGE_VALUES_ADD;
    Blend blend(what == 0 && p.keys == WN_MERGE_KEYS_DIRECTION);
    LaneVector x;
    x.load(arena_row(p.cache, target, what), d);
    blend.add(x, adds ? 1.0f : static_cast<float>(count));
    for (int e = begin; e < end; e++) {
      const int64_t entry = first + static_cast<uint32_t>(order[e]);
      x.load(arena_row(p.cache, arena_slot(p.cache, head, p.from[entry]), what), d);
      blend.add(x, p.weight[entry]);
    }
    if (!adds) blend.finish();
    blend.sum.store(const_cast<__nv_bfloat16*>(arena_row(p.cache, target, what)), d);
  }
  __syncwarp();  // every lane has read the counts
  if ((threadIdx.x & 31) != 0) return;
  p.cache.counts[target] = count + given;
  if (p.bias == WN_MERGE_BIAS_LOG_COUNT) p.cache.log_bias[target] = count + given > 0 ? logf(static_cast<float>(count + given)) : 0.0f;
}

/// Sources count no more, once all targets have what they give.
__global__ void __launch_bounds__(256) merge_sources_kernel(const __grid_constant__ WnCacheMergeParams p) {
  const int i = blockIdx.x * 256 + static_cast<int>(threadIdx.x), head = blockIdx.y;
  if (i >= p.lens[head]) return;
  const int64_t source = arena_slot(p.cache, head, p.from[static_cast<int64_t>(head) * p.stride + i]);
  if (source / 64 != p.frozen_page) p.cache.counts[source] = 0;
}

int places_of(const WnCacheMergeParams& p) {
  int places = 2;
  while (places < p.max_count) places *= 2;
  return places;
}

WnStatus check_params(const WnCacheMergeParams* p) {
  WN_REQUIRE(p, "cache_merge: params is null");
  WN_REQUIRE(is_cache_view(p->cache) && p->cache.rows == 1 && p->lens, "cache_merge: pointers or sizes");
  WN_REQUIRE(p->stride >= 0 && (p->stride == 0 || (p->from && p->into && p->weight)), "cache_merge: lists");
  return ok();
}

}  // namespace
}  // namespace winnow

int64_t wn_cache_merge_workspace_bytes(const WnCacheMergeParams* p) {
  return int64_t{8} * p->cache.num_kv_heads * winnow::places_of(*p);
}

WnStatus wn_cache_merge_check(const WnCacheMergeParams* params, void* stream) {
  using namespace winnow;
  if (const WnStatus status = check_params(params); status.code != WN_OK) return status;
  WN_REQUIRE(params->report, "cache_merge: report is null");
  merge_check_kernel<<<params->cache.num_kv_heads, kCheckThreads, 0, static_cast<cudaStream_t>(stream)>>>(*params);
  return launch_status("cache_merge: check");
}

WnStatus wn_cache_merge(const WnCacheMergeParams* params, void* stream) {
  using namespace winnow;
  if (const WnStatus status = check_params(params); status.code != WN_OK) return status;
  const WnCacheMergeParams& p = *params;
  WN_REQUIRE(p.cache.counts && p.cache.log_bias, "cache_merge: the cache lacks counts or biases");
  WN_REQUIRE(p.keys >= WN_MERGE_KEYS_NONE && p.keys <= WN_MERGE_KEYS_DIRECTION, "cache_merge: keys");
  WN_REQUIRE(p.values == WN_MERGE_VALUES_MEAN || p.values == WN_MERGE_VALUES_ADD, "cache_merge: values");
  WN_REQUIRE(p.bias == WN_MERGE_BIAS_NONE || p.bias == WN_MERGE_BIAS_LOG_COUNT, "cache_merge: bias");
  WN_REQUIRE(p.max_count >= 0 && p.max_count <= p.stride && p.max_count <= (1 << 28), "cache_merge: max_count");
  if (p.max_count == 0) return ok();
  WN_REQUIRE(p.workspace && aligned(p.workspace, 16) && p.workspace_bytes >= wn_cache_merge_workspace_bytes(&p), "cache_merge: workspace");
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const MergeArgs args{p, static_cast<uint64_t*>(p.workspace), places_of(p)};
  merge_order_kernel<<<p.cache.num_kv_heads, kSortThreads, 0, cuda_stream>>>(args);
  merge_kernel<<<dim3(ceil_div(p.max_count, kWarps), p.cache.num_kv_heads), 32 * kWarps, 0, cuda_stream>>>(args);
  merge_sources_kernel<<<dim3(ceil_div(p.max_count, 256), p.cache.num_kv_heads), 256, 0, cuda_stream>>>(p);
  return launch_status("cache_merge");
}
