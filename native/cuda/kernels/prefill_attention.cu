#include "winnow_cuda/prefill_attention.h"

#include "prefill_consumer.cuh"
#include "prefill_portable.h"
#include "tensor_map.h"

namespace winnow {
namespace {

template <typename C>
__global__ void __launch_bounds__(C::kThreads, 1)
    prefill_attention_kernel(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
                             const __grid_constant__ CUtensorMap v_map, const __grid_constant__ PrefillArgs a) {
  extern __shared__ char raw[];
  const PrefillShared<C> sm(raw);
  sm.init_barriers();
  if (threadIdx.x < 128) {
    give_up_registers<C::kProducerRegisters>();
    if (threadIdx.x == 0) produce<C>(a, sm, &q_map, &k_map, &v_map);
  } else {
    take_registers<C::kConsumerRegisters>();
    PrefillConsumer<C>(a, sm, threadIdx.x / 128 - 1).run();
  }
}

template <typename C>
WnStatus launch(const WnPrefillAttentionParams& p, cudaStream_t stream) {
  CUtensorMap q_map, k_map, v_map;
  const int64_t q_stride = static_cast<int64_t>(p.num_query_heads) * p.head_dim;
  WnStatus status = make_tensor_map(
      {p.q, p.query_len, q_stride, p.num_query_heads, p.head_dim, p.head_dim, C::kRows, C::kChunks}, &q_map);
  if (status.code) return status;
  const int box_tokens = C::kHalves ? 64 : C::kBlock, box_chunks = C::kHalves && C::kBlock > 64 ? 1 : C::kChunks;
  if (p.pages) {
    status = make_tensor_map({p.pages, static_cast<int64_t>(p.num_pages) * 128, p.head_dim, 1, p.head_dim, p.head_dim,
                              box_tokens, box_chunks}, &k_map);
    v_map = k_map;
  } else {
    status = make_tensor_map({p.k, p.kv_len, p.kv_token_stride, p.num_kv_heads, p.kv_head_stride, p.head_dim,
                              box_tokens, box_chunks}, &k_map);
    if (status.code) return status;
    status = make_tensor_map({p.v, p.kv_len, p.kv_token_stride, p.num_kv_heads, p.kv_head_stride, p.head_dim,
                              box_tokens, box_chunks}, &v_map);
  }
  if (status.code) return status;

  PrefillArgs a{static_cast<__nv_bfloat16*>(p.out), p.lse, p.block_row_ptr, p.block_ids,
                p.pages ? p.page_table : nullptr, p.scheduler};
  a.query_len = p.query_len;
  a.kv_len = p.kv_len;
  a.q_offset = p.q_offset;
  a.num_query_heads = p.num_query_heads;
  a.num_kv_heads = p.num_kv_heads;
  a.group_size = p.num_query_heads / p.num_kv_heads;
  a.num_row_blocks = static_cast<int32_t>(ceil_div(p.query_len, C::kRows));
  // 32 of Hopper's 50 MB of L2 for one section's keys and values.
  const int64_t fit = (32 << 20) / (static_cast<int64_t>(p.kv_len) * p.head_dim * 4);
  a.section = static_cast<int32_t>(fit < 1 ? 1 : fit < p.num_kv_heads ? fit : p.num_kv_heads);
  a.sink_tokens = p.window_tokens > 0 ? p.sink_tokens : 0;
  a.window_tokens = p.window_tokens;
  a.page_table_stride = p.page_table_stride;
  a.lse_head_stride = p.lse_by_token ? 1 : p.query_len;
  a.lse_row_stride = p.lse_by_token ? p.num_query_heads : 1;
  a.scale_log2 = p.softmax_scale * kLog2e;
  const auto kernel = prefill_attention_kernel<C>;
  const cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes);
  if (error != cudaSuccess) return cuda_status(error, "prefill_attention: shared memory");
  // One block per multiprocessor walks many tiles, so that loads of the next tile run under the end of this one.
  const int64_t tiles = static_cast<int64_t>(a.num_row_blocks) * p.num_query_heads;
  if (tiles > (1 << 30)) return make_status(WN_UNSUPPORTED, "prefill_attention: more than 2^30 row blocks and heads");
  const int blocks = device_attribute(cudaDevAttrMultiProcessorCount);
  kernel<<<static_cast<unsigned>(tiles < blocks ? tiles : blocks), C::kThreads, C::kSharedBytes, stream>>>(
      q_map, k_map, v_map, a);
  return launch_status("prefill_attention");
}

WnStatus dispatch(const WnPrefillAttentionParams& p, cudaStream_t stream) {
  // Two groups of 64 rows match the row blocks of a list. Without one three groups are faster: they fill each other's
  // gaps without help, and a wider tile reads less through the L2.
  if (p.head_dim == 64) {
    if (p.block_row_ptr) return launch<PrefillConfig<64, 2, 128, 4, true, true>>(p, stream);
    if (p.pages) return launch<PrefillConfig<64, 3, 128, 4, false, true, false>>(p, stream);
    return launch<PrefillConfig<64, 3, 160, 4, false, false>>(p, stream);
  }
  if (p.head_dim == 128) {
    if (p.block_row_ptr) return launch<PrefillConfig<128, 2, 128, 3, true, true>>(p, stream);
    if (p.pages) return launch<PrefillConfig<128, 3, 128, 2, false, true, false>>(p, stream);
    return launch<PrefillConfig<128, 3, 128, 2, false, false>>(p, stream);
  }
  if (p.pages || p.block_row_ptr) return launch<PrefillConfig<256, 2, 64, 2, true, true>>(p, stream);
  return launch<PrefillConfig<256, 2, 80, 2, true, false>>(p, stream);
}

}  // namespace
}  // namespace winnow

WnStatus wn_prefill_attention(const WnPrefillAttentionParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "prefill_attention: params is null");
  const WnPrefillAttentionParams& p = *params;
  WN_REQUIRE(p.head_dim == 64 || p.head_dim == 128 || p.head_dim == 256, "prefill_attention: head_dim not 64, 128, 256");
  WN_REQUIRE(p.num_kv_heads > 0 && p.num_query_heads > 0 && p.num_query_heads % p.num_kv_heads == 0,
             "prefill_attention: num_query_heads is no multiple of num_kv_heads");
  WN_REQUIRE(p.query_len > 0 && p.kv_len > 0 && p.q_offset >= 0 && p.query_len < (1 << 28) && p.kv_len < (1 << 28) &&
                 p.q_offset < (1 << 28) && p.window_tokens < (1 << 28),
             "prefill_attention: query_len, kv_len, q_offset or window_tokens out of range");
  WN_REQUIRE(p.softmax_scale > 0, "prefill_attention: softmax_scale must be positive");
  WN_REQUIRE(!(p.window_tokens > 0 && p.block_row_ptr), "prefill_attention: window and block list together");
  WN_REQUIRE(p.window_tokens <= 0 || p.sink_tokens >= 0, "prefill_attention: sink_tokens is negative");
  WN_REQUIRE(!p.block_row_ptr || p.block_ids, "prefill_attention: block_ids is null");
  WN_REQUIRE(p.q && p.out && aligned(p.q, 16) && aligned(p.out, 16), "prefill_attention: q or out null or misaligned");
  if (p.pages) {
    WN_REQUIRE(p.page_table && p.num_pages > 0 && aligned(p.pages, 16), "prefill_attention: page table or pages");
  } else {
    WN_REQUIRE(p.k && p.v && aligned(p.k, 16) && aligned(p.v, 16), "prefill_attention: k or v null or misaligned");
    WN_REQUIRE(p.kv_token_stride > 0 && p.kv_head_stride > 0 && p.kv_token_stride % 8 == 0 && p.kv_head_stride % 8 == 0,
               "prefill_attention: strides are no multiples of 8 elements");
  }
  const int major = device_attribute(cudaDevAttrComputeCapabilityMajor);
  if (major == 0) return make_status(WN_NO_DRIVER, "prefill_attention: no device");
  if (major != 9 || p.variant == 20) return prefill_portable(p, stream);
  return dispatch(p, static_cast<cudaStream_t>(stream));
}
