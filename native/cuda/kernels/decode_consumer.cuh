/// Decode: what a consumer group does with the tiles, and the merge of partial results.
#ifndef WINNOW_CUDA_DECODE_CONSUMER_CUH
#define WINNOW_CUDA_DECODE_CONSUMER_CUH

#include "decode_producer.cuh"
#include "wgmma.cuh"

namespace winnow {

/// One consumer group. Scores lie transposed, keys on rows and heads on columns, so that a query group of at most
/// kHeads heads needs no padding to 64 rows. Key of register i: 16 * warp + lane / 4 + 8 * (i >> 1 & 1).
template <typename C>
struct DecodeConsumer {
  static constexpr int kScores = C::kHeads / 2, kPairs = C::kHeads / 4;  // pairs: heads held by a thread
  const DecodeArgs& a;
  const DecodeShared<C>& sm;
  int group, thread, lane, warp;
  char *q, *weights;
  float* exchange;
  float out[C::kChunks][kScores];
  float maximum[kPairs], sum[kPairs];

  WN_DEVICE DecodeConsumer(const DecodeArgs& args, const DecodeShared<C>& shared, int g) : a(args), sm(shared), group(g) {
    thread = threadIdx.x & 127;
    lane = thread & 31;
    warp = thread / 32;
    q = sm.q + g * C::kQueryBytes;
    weights = sm.weights + g * C::kWeightBytes;
    exchange = sm.exchange + g * 8 * C::kHeads;
  }
  WN_DEVICE void sync() const { named_barrier_sync(2 + group, 128); }
  /// Head of pair p: registers 4 (p / 2) + p % 2 and + 2.
  WN_DEVICE int head_of(int p) const { return 8 * (p / 2) + 2 * (lane % 4) + (p & 1); }
  WN_DEVICE static int register_of(int p, int second_key) { return 4 * (p / 2) + (p & 1) + 2 * second_key; }

  WN_DEVICE void begin(const DecodePiece& piece) {
    const int row = piece.segment / a.num_kv_heads, kv_head = piece.segment % a.num_kv_heads;
    const __nv_bfloat16* source =
        a.q + (static_cast<int64_t>(row) * a.num_query_heads + kv_head * a.group_size) * C::kHeadDim;
    for (int i = thread; i < C::kHeads * C::kHeadDim / 8; i += 128) {
      const int head = i / (C::kHeadDim / 8), column = i % (C::kHeadDim / 8) * 8;
      uint4 words = {0, 0, 0, 0};
      if (head < a.group_size) words = *reinterpret_cast<const uint4*>(source + head * C::kHeadDim + column);
      *reinterpret_cast<uint4*>(q + tile_byte(head, column, C::kHeads)) = words;
    }
    fence_async_proxy();
    sync();
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      maximum[p] = -INFINITY;
      sum[p] = 0;
    }
#pragma unroll
    for (int c = 0; c < C::kChunks; c++)
#pragma unroll
      for (int i = 0; i < kScores; i++) out[c][i] = 0;
  }

  WN_DEVICE void consume(int j) {
    const int stage = j % C::kStages;
    barrier_wait(sm.full + stage, (j / C::kStages) & 1);
    const uint32_t tile = shared_address(sm.stage) + stage * C::kStageBytes;
    const int valid = sm.valid[stage];
    float s[kScores];
    const uint32_t q_address = shared_address(q);
    pin_registers(s);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < C::kHeadDim / 16; step++)
      wgmma_shared_shared<0, 0>(s, operand_descriptor(tile + (step / 4) * 16384 + (step % 4) * 32, 16),
                                operand_descriptor(q_address + (step / 4) * C::kHeads * 128 + (step % 4) * 32, 16),
                                step > 0);
    wgmma_commit();
    wgmma_wait<0>();
    pin_registers(s);
    const int key0 = 16 * warp + lane / 4, key1 = key0 + 8;
    const float bias0 = a.log_bias ? sm.bias[stage * 64 + key0] * kLog2e : 0;
    const float bias1 = a.log_bias ? sm.bias[stage * 64 + key1] * kLog2e : 0;
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      float& s0 = s[register_of(p, 0)];
      float& s1 = s[register_of(p, 1)];
      s0 = key0 < valid ? fmaf(s0, a.scale_log2, bias0) : -INFINITY;
      s1 = key1 < valid ? fmaf(s1, a.scale_log2, bias1) : -INFINITY;
      float best = fmaxf(s0, s1);
#pragma unroll
      for (int step = 4; step < 32; step *= 2) best = fmaxf(best, __shfl_xor_sync(~0u, best, step));
      if (lane < 4) exchange[warp * C::kHeads + head_of(p)] = best;
    }
    sync();
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      const int head = head_of(p);
      float best = maximum[p];
#pragma unroll
      for (int w = 0; w < 4; w++) best = fmaxf(best, exchange[w * C::kHeads + head]);
      const float shift = best == -INFINITY ? 0 : best;
      const float factor = exp2_fast(maximum[p] - shift);
      maximum[p] = best;
      const float w0 = exp2_fast(s[register_of(p, 0)] - shift), w1 = exp2_fast(s[register_of(p, 1)] - shift);
      sum[p] = sum[p] * factor + w0 + w1;
#pragma unroll
      for (int c = 0; c < C::kChunks; c++) {
        out[c][register_of(p, 0)] *= factor;
        out[c][register_of(p, 1)] *= factor;
      }
      *reinterpret_cast<__nv_bfloat16*>(weights + tile_byte(head, key0, C::kHeads)) = __float2bfloat16(w0);
      *reinterpret_cast<__nv_bfloat16*>(weights + tile_byte(head, key1, C::kHeads)) = __float2bfloat16(w1);
    }
    fence_async_proxy();
    sync();
#pragma unroll
    for (int c = 0; c < C::kChunks; c++) pin_registers(out[c]);
    wgmma_fence();
    const uint32_t w_address = shared_address(weights);
#pragma unroll
    for (int c = 0; c < C::kChunks; c++)
#pragma unroll
      for (int step = 0; step < 4; step++)
        wgmma_shared_shared<1, 0>(out[c], operand_descriptor(tile + c * 16384 + 8192 + step * 2048, 16384),
                                  operand_descriptor(w_address + step * 32, 16), 1);
    wgmma_commit();
    wgmma_wait<0>();
#pragma unroll
    for (int c = 0; c < C::kChunks; c++) pin_registers(out[c]);
    if (lane == 0) barrier_arrive(sm.empty + stage);
  }

  /// Leaves the partial of this group and, if every other one is there already, merges them.
  WN_DEVICE void finish(const DecodePiece& piece) {
    const DecodeUnits units(piece, sm.share->payload, kConsumerGroups);
    const int64_t unit = DecodeUnits::unit_of(blockIdx.x, piece.first_tile == 0, group, kConsumerGroups);
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      float total = sum[p];
#pragma unroll
      for (int step = 4; step < 32; step *= 2) total += __shfl_xor_sync(~0u, total, step);
      if (lane < 4) exchange[warp * C::kHeads + head_of(p)] = total;
    }
    sync();
    const int64_t sums = static_cast<int64_t>(gridDim.x) * 2 * kConsumerGroups * C::kHeads;
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      const int head = head_of(p);
      if (warp == 0 && lane < 4) {
        float total = 0;
#pragma unroll
        for (int w = 0; w < 4; w++) total += exchange[w * C::kHeads + head];
        a.part_max[unit * C::kHeads + head] = maximum[p];
        a.part_max[sums + unit * C::kHeads + head] = total;
      }
      if (head < a.group_size) {
        float* target = a.part_out + (unit * C::kHeads + head) * C::kHeadDim + 16 * warp + lane / 4;
#pragma unroll
        for (int c = 0; c < C::kChunks; c++) {
          target[64 * c] = out[c][register_of(p, 0)];
          target[64 * c + 8] = out[c][register_of(p, 1)];
        }
      }
    }
    __threadfence();
    sync();
    if (thread == 0) {
      const int before = atomicAdd(a.tickets + piece.segment, 1);
      sm.flag[group] = before == units.arrivals - 1;
      if (before == units.arrivals - 1) a.tickets[piece.segment] = 0;
    }
    sync();
    if (sm.flag[group]) {
      __threadfence();
      merge(piece.segment, units);
    }
    // Both groups leave together: slot 1 is written again by the next segment that begins in this block.
    named_barrier_sync(4, 128 * kConsumerGroups);
  }

  WN_DEVICE void merge(int segment, const DecodeUnits& units) const {
    const int row = segment / a.num_kv_heads, kv_head = segment % a.num_kv_heads;
    const int64_t sums = static_cast<int64_t>(gridDim.x) * 2 * kConsumerGroups * C::kHeads;
    for (int head = 0; head < a.group_size; head++) {
      float best = -INFINITY;
      for (int i = 0; i < units.arrivals; i++) best = fmaxf(best, __ldcg(a.part_max + units.unit(i) * C::kHeads + head));
      const float shift = best == -INFINITY ? 0 : best;
      float total = 0, value[(C::kHeadDim + 127) / 128] = {};
#pragma unroll 4
      for (int i = 0; i < units.arrivals; i++) {
        const int64_t unit = units.unit(i) * C::kHeads + head;
        const float weight = exp2_fast(__ldcg(a.part_max + unit) - shift);
        total += weight * __ldcg(a.part_max + sums + unit);
#pragma unroll
        for (int d = 0; d < (C::kHeadDim + 127) / 128; d++)
          if (C::kHeadDim >= 128 || thread < C::kHeadDim)
            value[d] += weight * __ldcg(a.part_out + unit * C::kHeadDim + d * 128 + thread);
      }
      const int64_t query = static_cast<int64_t>(row) * a.num_query_heads + kv_head * a.group_size + head;
      const float inverse = total > 0 ? 1 / total : 0;
#pragma unroll
      for (int d = 0; d < (C::kHeadDim + 127) / 128; d++)
        if (C::kHeadDim >= 128 || thread < C::kHeadDim)
          a.out[query * C::kHeadDim + d * 128 + thread] = __float2bfloat16(value[d] * inverse);
      if (a.lse && thread == 0) a.lse[query] = total > 0 ? best * kLn2 + logf(total) : -INFINITY;
    }
  }
};

}  // namespace winnow

#endif
