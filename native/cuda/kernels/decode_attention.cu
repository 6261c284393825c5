#include "winnow_cuda/decode_attention.h"

#include "decode_consumer.cuh"
#include "tensor_map.h"

namespace winnow {
namespace {

template <typename C>
__global__ void __launch_bounds__(C::kThreads, 1)
    decode_attention_kernel(const __grid_constant__ CUtensorMap map, const __grid_constant__ DecodeArgs a) {
  extern __shared__ char raw[];
  const DecodeShared<C> sm(raw);
  if (threadIdx.x == 0) {
    for (int i = 0; i < C::kStages; i++) {
      barrier_init(sm.full + i, C::kGather ? 128 : 1);
      barrier_init(sm.empty + i, 128);
    }
    barrier_init_fence();
    prefetch_tensor_map(&map);
  }
  prefetch_tables(a);
  __syncthreads();
  // Launched early (see below): before wait_for_predecessor nothing may be read that an earlier kernel wrote. The kernel behind
  // is not let in before this one has ended: its blocks would crowd the multiprocessors that are free first, and run on those alone.
  wait_for_predecessor();
  const SegmentSlots slots{a, sm.slots};
  if (slots.has_table()) {
    slots.fill();
    __syncthreads();
  }
  const DecodeShare share = find_share(slots);
  DecodeWalk<SegmentSlots> walk(slots, share, blockIdx.x);
  if (threadIdx.x < 128) {
    if constexpr (C::kGather) {
      produce_tokens<C>(a, sm, walk);
    } else if (threadIdx.x < 32) {
      if (a.slots.page_size == 16) produce_pages<C, 16>(a, sm, walk, &map);
      else if (a.slots.page_size == 32) produce_pages<C, 32>(a, sm, walk, &map);
      else produce_pages<C, 64>(a, sm, walk, &map);
    }
    return;
  }
  DecodeConsumer<C> consumer(a, sm, threadIdx.x / 128 - 1, share.payload);
  DecodePiece piece;
  int j = 0;
  while (walk.next(piece)) {
    consumer.begin(piece);
    for (int tile = piece.first_tile; tile < piece.last_tile; tile++, j++)
      if (j % C::kGroups == consumer.group) consumer.consume(j);
    consumer.finish(piece);
  }
}

/// Query heads a tile of scores holds.
int padded_heads(int group_size) { return group_size <= 8 ? 8 : 16; }

/// Slots of what the copy engine fetches at once.
int page_size(const WnDecodeAttentionParams& p) {
  return p.selection == WN_SELECT_PAGES && p.selected_page > 0 ? p.selected_page : 64;
}

template <typename C>
WnStatus launch(const WnDecodeAttentionParams& p, int parts, cudaStream_t stream) {
  CUtensorMap map;
  const int page = page_size(p);
  const WnStatus status = make_tensor_map({p.pages, static_cast<int64_t>(p.num_pages) * 128, p.head_dim, 1, p.head_dim,
                                           p.head_dim, page < 64 ? page : 128, page < 64 ? 1 : C::kChunks}, &map);
  if (status.code) return status;
  DecodeArgs a{};
  a.q = static_cast<const __nv_bfloat16*>(p.q);
  a.pages = static_cast<const __nv_bfloat16*>(p.pages);
  a.page_table = p.page_table;
  a.slots = {p.kv_lens, p.selected, p.selected_lens, p.selected_stride, p.one_list_per_row ? p.num_kv_heads : 1,
             p.selection, p.selection == WN_SELECT_TOKENS ? 1 : page, p.reads_own};
  a.log_bias = p.log_bias;
  a.out = static_cast<__nv_bfloat16*>(p.out);
  a.lse = p.lse;
  a.num_segments = p.batch * p.num_kv_heads;
  a.num_kv_heads = p.num_kv_heads;
  a.num_query_heads = p.num_query_heads;
  a.group_size = p.num_query_heads / p.num_kv_heads;
  a.num_pages = p.num_pages;
  a.page_table_stride = p.page_table_stride;
  a.scale_log2 = p.softmax_scale * kLog2e;
  a.tickets = static_cast<int32_t*>(p.workspace);
  a.part_sum = reinterpret_cast<float2*>(static_cast<char*>(p.workspace) + ceil_div(a.num_segments * 4, 256) * 256);
  a.part_out = reinterpret_cast<float*>(a.part_sum + static_cast<int64_t>(parts) * 2 * C::kHeads);
  const auto kernel = decode_attention_kernel<C>;
  const cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes);
  if (error != cudaSuccess) return cuda_status(error, "decode_attention: shared memory");
  // The kernel may start while the one before it ends: its set-up then costs nothing.
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(parts);
  config.blockDim = dim3(C::kThreads);
  config.dynamicSmemBytes = C::kSharedBytes;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = 1;
  return cuda_status(cudaLaunchKernelEx(&config, kernel, map, a), "decode_attention");
}

template <int kHeadDim>
WnStatus dispatch(const WnDecodeAttentionParams& p, int parts, cudaStream_t stream) {
  const bool gather = p.selection == WN_SELECT_TOKENS;
  if (padded_heads(p.num_query_heads / p.num_kv_heads) == 8)
    return gather ? launch<DecodeConfig<kHeadDim, 8, true>>(p, parts, stream)
                  : launch<DecodeConfig<kHeadDim, 8, false>>(p, parts, stream);
  return gather ? launch<DecodeConfig<kHeadDim, 16, true>>(p, parts, stream)
                : launch<DecodeConfig<kHeadDim, 16, false>>(p, parts, stream);
}

}  // namespace
}  // namespace winnow

int64_t wn_decode_attention_workspace_bytes(const WnDecodeAttentionParams* p) {
  using namespace winnow;
  const int parts = device_attribute(cudaDevAttrMultiProcessorCount);
  if (!p || parts == 0 || p->num_kv_heads <= 0 || p->batch <= 0) return 0;
  const int64_t heads = padded_heads(p->num_query_heads / p->num_kv_heads);
  const int64_t tickets = ceil_div(static_cast<int64_t>(p->batch) * p->num_kv_heads * 4, 256) * 256;
  return tickets + static_cast<int64_t>(parts) * 2 * heads * (p->head_dim + 2) * 4;
}

WnStatus wn_decode_attention(const WnDecodeAttentionParams* params, void* stream) {
  using namespace winnow;
  WN_REQUIRE(params, "decode_attention: params is null");
  const WnDecodeAttentionParams& p = *params;
  WN_REQUIRE(p.head_dim == 64 || p.head_dim == 128 || p.head_dim == 256, "decode_attention: head_dim not 64, 128, 256");
  WN_REQUIRE(p.batch > 0 && p.num_kv_heads > 0 && p.num_query_heads > 0 && p.num_query_heads % p.num_kv_heads == 0,
             "decode_attention: batch or head counts");
  WN_REQUIRE(p.num_query_heads / p.num_kv_heads <= 16, "decode_attention: group_size above 16");
  WN_REQUIRE(p.softmax_scale > 0, "decode_attention: softmax_scale must be positive");
  WN_REQUIRE(p.q && p.out && p.pages && p.page_table && p.kv_lens, "decode_attention: a required pointer is null");
  WN_REQUIRE(aligned(p.q, 16) && aligned(p.out, 16) && aligned(p.pages, 128), "decode_attention: misaligned pointer");
  WN_REQUIRE(p.selection >= WN_SELECT_ALL && p.selection <= WN_SELECT_TOKENS, "decode_attention: unknown selection");
  WN_REQUIRE(p.selection == WN_SELECT_ALL || (p.selected && p.selected_lens), "decode_attention: selection is null");
  WN_REQUIRE(p.selected_page == 0 || p.selected_page == 16 || p.selected_page == 32 || p.selected_page == 64,
             "decode_attention: selected_page not 16, 32, 64");
  if (p.selection == WN_SELECT_PAGES && p.log_bias && (p.reads_own || page_size(p) < 64))
    return make_status(WN_UNSUPPORTED, "decode_attention: log_bias with pages of fewer than 64 slots or reads_own");
  WN_REQUIRE(p.num_pages > 0 && p.num_pages < (1 << 24) && p.page_table_stride > 0, "decode_attention: page counts");
  const int major = device_attribute(cudaDevAttrComputeCapabilityMajor);
  if (major == 0) return make_status(WN_NO_DRIVER, "decode_attention: no device");
  if (major != 9) return make_status(WN_UNSUPPORTED, "decode_attention: needs compute capability 9.0");
  WN_REQUIRE(p.workspace && aligned(p.workspace, 256) && p.workspace_bytes >= wn_decode_attention_workspace_bytes(&p),
             "decode_attention: workspace null, misaligned to 256 bytes or too small");
  const int parts = device_attribute(cudaDevAttrMultiProcessorCount);
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  if (p.head_dim == 64) return dispatch<64>(p, parts, cuda_stream);
  if (p.head_dim == 128) return dispatch<128>(p, parts, cuda_stream);
  return dispatch<256>(p, parts, cuda_stream);
}
