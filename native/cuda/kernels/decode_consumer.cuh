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
  int group, thread, lane, warp, payload;
  char *q, *weights;
  float* exchange;
  float out[C::kChunks][kScores];
  float maximum[kPairs], sum[kPairs];

  WN_DEVICE DecodeConsumer(const DecodeArgs& args, const DecodeShared<C>& shared, int g, int tiles_of_part)
      : a(args), sm(shared), group(g), payload(tiles_of_part) {
    thread = threadIdx.x & 127;
    lane = thread & 31;
    warp = thread / 32;
    q = sm.q + g * C::kQueryBytes;
    weights = sm.weights + g * C::kWeightBytes;
    exchange = sm.exchange + g * 4 * C::kHeads;
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
    barrier_arrive(sm.empty + stage);  // every lane for its own reads, as the race checker wants it
  }

  /// Ends a piece: group 0 joins the groups, then finishes the segment or leaves this block's partial.
  WN_DEVICE void finish(const DecodePiece& piece) {
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
#pragma unroll
      for (int step = 4; step < 32; step *= 2) sum[p] += __shfl_xor_sync(~0u, sum[p], step);
      if (lane < 4) exchange[warp * C::kHeads + head_of(p)] = sum[p];
    }
    sync();
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      sum[p] = 0;
#pragma unroll
      for (int w = 0; w < 4; w++) sum[p] += exchange[w * C::kHeads + head_of(p)];
    }
    // Group 0 comes here only when it has read what the last piece left in the scratch.
    named_barrier_sync(kScratchFree, 128 * C::kGroups);
    if (group > 0) {
      offer();
      named_barrier_arrive(kScratchFull, 128 * C::kGroups);
      return;
    }
    named_barrier_sync(kScratchFull, 128 * C::kGroups);
    join();

    const DecodeUnits units(piece, payload);
    const int64_t query = static_cast<int64_t>(piece.segment / a.num_kv_heads) * a.num_query_heads +
                          piece.segment % a.num_kv_heads * a.group_size;
    if (units.arrivals == 1) {
      store(query);
      return;
    }
    leave_partial(DecodeUnits::unit_of(blockIdx.x, piece.first_tile == 0));
    __threadfence();
    sync();
    if (thread == 0) {
      const bool is_last = atomicAdd(a.tickets + piece.segment, 1) == units.arrivals - 1;
      if (is_last) a.tickets[piece.segment] = 0;
      *sm.flag = is_last;
    }
    sync();
    if (*sm.flag) {
      __threadfence();
      merge(query, units);
    }
  }

  /// Named barriers of the join; 1 belongs to the producer, 2 to 5 to the groups.
  static constexpr int kScratchFull = 6, kScratchFree = 7;

  /// Calls f(head, channel, value) for what this thread holds of the output.
  template <typename F>
  WN_DEVICE void each_output(F f) {
#pragma unroll
    for (int p = 0; p < kPairs; p++)
#pragma unroll
      for (int c = 0; c < C::kChunks; c++)
#pragma unroll
        for (int second = 0; second < 2; second++)
          f(p, head_of(p), 64 * c + 16 * warp + lane / 4 + 8 * second, out[c][register_of(p, second)]);
  }
  WN_DEVICE bool speaks_for_head() const { return warp == 0 && lane < 4; }

  WN_DEVICE void offer() {
    float* scratch = sm.scratch + (group - 1) * C::kHeads * C::kScratchRow;
    each_output([&](int, int head, int d, float value) { scratch[head * C::kScratchRow + d] = value; });
#pragma unroll
    for (int p = 0; p < kPairs; p++)
      if (speaks_for_head()) sm.scratch_sum[(group - 1) * C::kHeads + head_of(p)] = {maximum[p], sum[p]};
  }
  WN_DEVICE void join() {
#pragma unroll
    for (int g = 0; g < C::kGroups - 1; g++) {
      const float* scratch = sm.scratch + g * C::kHeads * C::kScratchRow;
      float own[kPairs], other[kPairs];
#pragma unroll
      for (int p = 0; p < kPairs; p++) {
        const float2 offered = sm.scratch_sum[g * C::kHeads + head_of(p)];
        const float best = fmaxf(maximum[p], offered.x), shift = best == -INFINITY ? 0 : best;
        own[p] = exp2_fast(maximum[p] - shift);
        other[p] = exp2_fast(offered.x - shift);
        maximum[p] = best;
        sum[p] = sum[p] * own[p] + offered.y * other[p];
      }
      each_output([&](int p, int head, int d, float& value) {
        value = value * own[p] + scratch[head * C::kScratchRow + d] * other[p];
      });
    }
  }
  WN_DEVICE void store(int64_t query) {
    each_output([&](int p, int head, int d, float value) {
      if (head < a.group_size)
        a.out[(query + head) * C::kHeadDim + d] = __float2bfloat16(sum[p] > 0 ? value / sum[p] : 0);
    });
#pragma unroll
    for (int p = 0; p < kPairs; p++)
      if (a.lse && speaks_for_head() && head_of(p) < a.group_size)
        a.lse[query + head_of(p)] = sum[p] > 0 ? maximum[p] * kLn2 + logf(sum[p]) : -INFINITY;
  }
  WN_DEVICE void leave_partial(int64_t unit) {
    each_output([&](int, int head, int d, float value) {
      if (head < a.group_size) a.part_out[(unit * C::kHeads + head) * C::kHeadDim + d] = value;
    });
#pragma unroll
    for (int p = 0; p < kPairs; p++)
      if (speaks_for_head()) a.part_sum[unit * C::kHeads + head_of(p)] = {maximum[p], sum[p]};
  }

  /// A warp takes every fourth head; a lane holds kHeadDim / 32 neighbouring channels and, for the weights, one unit of
  /// 32. Loads go out in batches: one after the other they would cost more than the attention of a short cache.
  WN_DEVICE void merge(int64_t query, const DecodeUnits& units) const {
    constexpr int kChannels = C::kHeadDim / 32, kBatch = kChannels == 8 ? 10 : 20;
    for (int head = warp; head < a.group_size; head += 4) {
      float best = -INFINITY, total = 0, value[kChannels] = {};
      for (int base = 0; base < units.arrivals; base += 32) {
        const int count = min(32, units.arrivals - base);
        float2 part = {-INFINITY, 0};
        if (lane < count) part = __ldcg(a.part_sum + units.unit(base + lane) * C::kHeads + head);
        float parts[kBatch][kChannels];
        auto load = [&](int first) {
#pragma unroll
          for (int i = 0; i < kBatch; i++) {
            const int64_t unit = units.unit(base + min(first + i, count - 1));
            const float* source = a.part_out + (unit * C::kHeads + head) * C::kHeadDim + lane * kChannels;
#pragma unroll
            for (int d = 0; d < kChannels; d += 2) {
              const float2 pair = __ldcg(reinterpret_cast<const float2*>(source + d));
              parts[i][d] = pair.x;
              parts[i][d + 1] = pair.y;
            }
          }
        };
        load(0);  // before the weights are known, so that the two latencies pass together
        const float new_best = fmaxf(best, warp_reduce(part.x, [](float x, float y) { return fmaxf(x, y); }));
        const float shift = new_best == -INFINITY ? 0 : new_best, weight = exp2_fast(part.x - shift);
        const float factor = exp2_fast(best - shift);
        best = new_best;
        total = total * factor + weight * part.y;
#pragma unroll
        for (int d = 0; d < kChannels; d++) value[d] *= factor;
        for (int first = 0; first < count; first += kBatch) {
          if (first > 0) load(first);
#pragma unroll
          for (int i = 0; i < kBatch; i++) {
            const float unit_weight = first + i < count ? __shfl_sync(~0u, weight, (first + i) & 31) : 0;
#pragma unroll
            for (int d = 0; d < kChannels; d++) value[d] += unit_weight * parts[i][d];
          }
        }
      }
      total = warp_sum(total);
      const float inverse = total > 0 ? 1 / total : 0;
      __nv_bfloat16* target = a.out + (query + head) * C::kHeadDim + lane * kChannels;
#pragma unroll
      for (int d = 0; d < kChannels; d += 2)
        *reinterpret_cast<uint32_t*>(target + d) = pack_bf16(value[d] * inverse, value[d + 1] * inverse);
      if (a.lse && lane == 0) a.lse[query + head] = total > 0 ? best * kLn2 + logf(total) : -INFINITY;
    }
  }
};

}  // namespace winnow

#endif
