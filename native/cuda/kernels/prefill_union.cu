#include "prefill_union.cuh"
#include "tensor_map.h"

namespace winnow {
namespace {

template <typename C>
__global__ void __launch_bounds__(C::kThreads, 1)
    prefill_union_kernel(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap map,
                         const __grid_constant__ CUtensorMap packed_map, const __grid_constant__ UnionArgs a) {
  extern __shared__ char raw[];
  const PrefillShared<C> sm(raw);
  sm.init_barriers();
  if (threadIdx.x < 128) {
    give_up_registers<C::kProducerRegisters>();
    if (threadIdx.x == 0) produce_union<C>(a, sm, &q_map, &map, &packed_map);
  } else {
    take_registers<C::kConsumerRegisters>();
    UnionConsumer<C>(a, sm, threadIdx.x / 128 - 1).run();
  }
}

template <typename C>
WnStatus launch(const KeySetsArgs& sets, const KeyPlan& plan, cudaStream_t stream) {
  const WnAttendSetsParams& p = sets.p;
  const int dim = p.cache.head_dim, box_chunks = C::kBlock > 64 ? 1 : C::kChunks;
  CUtensorMap q_map, map, packed_map;
  WnStatus status = make_tensor_map({p.q, p.query_len, static_cast<int64_t>(p.num_query_heads) * dim, p.num_query_heads, dim, dim, C::kRows, C::kChunks}, &q_map);
  if (status.code) return status;
  status = make_tensor_map({p.cache.pages, static_cast<int64_t>(p.num_pages) * 128, dim, 1, dim, dim, 64, box_chunks}, &map);
  if (status.code) return status;
  packed_map = map;
  const int64_t packed_rows = static_cast<int64_t>(plan.groups) * plan.packed_blocks * 128;
  if (packed_rows > 0) status = make_tensor_map({plan.packed, packed_rows, dim, 1, dim, dim, 64, box_chunks}, &packed_map);
  if (status.code) return status;

  UnionArgs a{};
  if (p.out_f32)
    a.out_f32 = static_cast<float*>(p.out);
  else
    a.rows.out = static_cast<__nv_bfloat16*>(p.out);
  a.rows.lse = p.lse;
  a.rows.page_table = p.cache.page_table;
  a.rows.scheduler = p.scheduler;
  a.rows.query_len = p.query_len;
  a.rows.kv_len = static_cast<int32_t>(p.max_slots);
  a.rows.q_offset = a.rows.kv_len - p.query_len;
  a.rows.num_query_heads = p.num_query_heads;
  a.rows.num_kv_heads = p.cache.num_kv_heads;
  a.rows.group_size = p.num_query_heads / p.cache.num_kv_heads;
  a.rows.num_row_blocks = plan.tiles;
  // 32 of Hopper's 50 MB of L2 for one section's keys and values.
  const int64_t fit = (32 << 20) / (p.max_slots * dim * 4);
  a.rows.section = static_cast<int32_t>(fit < 1 ? 1 : fit < a.rows.num_kv_heads ? fit : a.rows.num_kv_heads);
  a.rows.page_table_stride = p.cache.page_table_stride;
  a.rows.lse_head_stride = 1;
  a.rows.lse_row_stride = p.num_query_heads;
  a.rows.scale_log2 = p.softmax_scale * kLog2e;
  a.tiles = a.rows;
  if (plan.halves == 1) {
    a.tiles.num_query_heads /= 2;
    a.tiles.group_size /= 2;
  }
  a.codes = plan.codes;
  a.lens = plan.lens;
  a.masks = plan.masks;
  a.diagonals = sets.diagonals >= 0 ? sets.words + sets.diagonals : nullptr;
  for (int i = 0; i < WN_MAX_SETS_HEADS / 32; i++) a.heads[i] = p.heads[i];
  a.capacity = plan.capacity;
  a.halves = plan.halves;
  a.pack = sets.pack;
  a.packed_blocks = plan.packed_blocks;
  a.lists = sets.lists;
  a.top = sets.top();
  a.diagonal_stride = sets.diagonal_stride();
  const auto kernel = prefill_union_kernel<C>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes);
  if (error != cudaSuccess) return cuda_status(error, "attend_sets: shared memory");
  const int64_t tiles = static_cast<int64_t>(a.tiles.num_row_blocks) * a.tiles.num_query_heads;
  const int blocks = device_attribute(cudaDevAttrMultiProcessorCount);
  kernel<<<static_cast<unsigned>(tiles < blocks ? tiles : blocks), C::kThreads, C::kSharedBytes, stream>>>(q_map, map, packed_map, a);
  return launch_status("attend_sets: union");
}

}  // namespace

WnStatus attend_plan(const KeySetsArgs& a, const KeyPlan& plan, cudaStream_t stream) {
  if (a.p.cache.head_dim == 64) return launch<PrefillUnionConfig<64, 128, 4>>(a, plan, stream);
  if (a.p.cache.head_dim == 128) return launch<PrefillUnionConfig<128, 128, 3>>(a, plan, stream);
  return launch<PrefillUnionConfig<256, 64, 2>>(a, plan, stream);
}

}  // namespace winnow
