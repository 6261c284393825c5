#include "winnow_cuda/project.h"

#include "element.cuh"
#include "score_lists.cuh"

namespace winnow {
namespace {

constexpr int kWarps = 8, kMaxDim = 256;

/// A warp's vector onto `rank` directions: eight elements a lane stay in registers.
template <typename Element>
WN_DEVICE void project_vector(int dim, int rank, const float* basis, Element element, float* out) {
  const int lane = threadIdx.x & 31;
  float x[kMaxDim / 32];
#pragma unroll
  for (int i = 0; i < kMaxDim / 32; i++) x[i] = lane + 32 * i < dim ? element(lane + 32 * i) : 0;
  for (int r = 0; r < rank; r++) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kMaxDim / 32; i++)
      if (lane + 32 * i < dim) sum = fmaf(basis[static_cast<int64_t>(r) * dim + lane + 32 * i], x[i], sum);
    sum = warp_sum(sum);
    if (lane == 0) out[r] = sum;
  }
}

__global__ void __launch_bounds__(32 * kWarps) project_slots_kernel(const __grid_constant__ WnProjectSlotsParams p) {
  const int i = blockIdx.x * kWarps + threadIdx.x / 32, head = blockIdx.y, d = p.cache.head_dim;
  if (i >= p.max_len) return;
  const int64_t list = static_cast<int64_t>(blockIdx.z) * p.cache.num_kv_heads + head;
  const int len = p.cache.kv_lens[list], slot = i + (p.last > 0 ? len - p.last : 0);
  const bool is_there = slot < len;
  const __nv_bfloat16* row = arena_row(p.cache, is_there ? arena_slot(p.cache, list, slot) : 0, p.what);
  project_vector(d, p.rank, p.basis + static_cast<int64_t>(head) * p.rank * d,
                 [&](int c) { return is_there ? __bfloat162float(row[c]) : 0.0f; }, p.out + (list * p.max_len + i) * p.rank);
}

__global__ void __launch_bounds__(32 * kWarps) project_queries_kernel(const __grid_constant__ WnProjectQueriesParams p) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (i >= p.num_tokens * p.num_query_heads) return;
  const int64_t basis = i % p.num_query_heads / (p.num_query_heads / p.num_bases);
  project_vector(p.head_dim, p.rank, p.basis + basis * p.rank * p.head_dim,
                 [&](int c) { return load_element(p.q, i * p.head_dim + c, p.q_type); }, p.out + i * p.rank);
}

}  // namespace
}  // namespace winnow

WnStatus wn_project_slots(const WnProjectSlotsParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "project_slots: params is null");
  const WnProjectSlotsParams& p = *params;
  WN_REQUIRE(is_cache_view(p.cache) && p.basis && p.out, "project_slots: pointers or sizes");
  WN_REQUIRE(p.rank > 0 && p.last >= 0 && p.max_len >= 0 && (p.what == 0 || p.what == 1), "project_slots: rank, last or what");
  if (p.max_len == 0) return ok();
  const dim3 grid(ceil_div(p.max_len, kWarps), p.cache.num_kv_heads, p.cache.rows);
  project_slots_kernel<<<grid, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("project_slots");
}

WnStatus wn_project_queries(const WnProjectQueriesParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params && params->q && params->basis && params->out, "project_queries: a required pointer is null");
  const WnProjectQueriesParams& p = *params;
  WN_REQUIRE(p.num_tokens > 0 && p.num_query_heads > 0 && p.num_bases > 0 && p.num_query_heads % p.num_bases == 0 && p.rank > 0,
             "project_queries: counts");
  WN_REQUIRE(p.head_dim > 0 && p.head_dim <= kMaxDim && is_float_type(p.q_type), "project_queries: head_dim above 256, or q_type");
  const auto blocks = static_cast<unsigned>(ceil_div(p.num_tokens * p.num_query_heads, kWarps));
  project_queries_kernel<<<blocks, 32 * kWarps, 0, static_cast<cudaStream_t>(stream)>>>(p);
  return launch_status("project_queries");
}
