/// Prefill: what a consumer warp group does with the steps.
#ifndef WINNOW_CUDA_PREFILL_CONSUMER_CUH
#define WINNOW_CUDA_PREFILL_CONSUMER_CUH

#include "prefill_producer.cuh"
#include "wgmma.cuh"

namespace winnow {

/// Where the rows of a thread go, and what has been summed for them beside their values.
struct PrefillSums {
  int row, query_head;
  float max0, max1, sum0, sum1;
};

/// 64 query rows of a warp group and what has been summed for them. A thread holds two rows, `row` and `row + 8`.
template <typename C>
struct PrefillRows {
  static constexpr int kScores = C::kBlock / 2, kOut = C::kHeadDim / 2;
  const PrefillArgs& a;
  int lane, first_row, row;
  float out[kOut];
  uint32_t weights[C::kBlock / 4];
  float max0, max1, sum0, sum1;

  WN_DEVICE explicit PrefillRows(const PrefillArgs& args) : a(args), lane(threadIdx.x & 31) {}

  WN_DEVICE void begin(int first) {
    begin_sums(first);
    clear();
  }
  WN_DEVICE void begin_sums(int first) {
    first_row = first;
    row = first_row + accumulator_row(threadIdx.x & 127, 0);
    max0 = max1 = -INFINITY;
    sum0 = sum1 = 0;
  }
  WN_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < kOut; i++) out[i] = 0;
  }
  WN_DEVICE void issue_scores(float (&s)[kScores], uint32_t q_address, uint32_t k_address) const {
    pin_registers(s);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < C::kHeadDim / 16; step++) {
      const uint64_t keys = operand_descriptor(k_address + (step / 4) * C::kBlock * 128 + (step % 4) * 32, 16);
      wgmma_shared_shared<0, 0>(s, operand_descriptor(q_address + (step / 4) * C::kRows * 128 + (step % 4) * 32, 16), keys,
                                step > 0);
    }
    wgmma_commit();
    pin_registers(s);
  }
  WN_DEVICE void issue_values(uint32_t v_address) {
    pin_registers(out);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < C::kBlock / 16; step++)
      wgmma_register_shared<1>(out, weights + 4 * step, operand_descriptor(v_address + step * 2048, C::kBlock * 128), 1);
    wgmma_commit();
    pin_registers(out);
  }

  WN_DEVICE bool half_needs_mask(int column) const {
    const int64_t low = static_cast<int64_t>(first_row) + a.q_offset;
    if (column + 63 > low || column + 64 > a.kv_len) return true;
    return C::kWindows && a.window_tokens > 0 && column + 64 > a.sink_tokens && column <= low + 63 - a.window_tokens;
  }
  WN_DEVICE void mask(float (&s)[kScores], int2 columns) const {
    if (!half_needs_mask(columns.x) && (C::kBlock == 64 || !half_needs_mask(columns.y)) &&
        (C::kBlock <= 128 || !half_needs_mask(columns.y + 64)))
      return;
    // 32-bit is enough: lengths and offsets are below 2^30.
    const int end0 = min(row + a.q_offset + 1, a.kv_len), end1 = min(row + 8 + a.q_offset + 1, a.kv_len);
    const int window = C::kWindows && a.window_tokens > 0 ? a.window_tokens : kNoColumn;
    const int begin0 = row + a.q_offset + 1 - window, begin1 = begin0 + 8;
#pragma unroll
    for (int i = 0; i < kScores; i++) {
      const int offset = 8 * (i / 4) + 2 * (lane % 4) + (i & 1);
      const int column = !C::kLists || offset < 64 ? columns.x + offset : columns.y + offset - 64;
      const bool is_second = (i >> 1) & 1;
      const bool visible = column < (is_second ? end1 : end0) &&
                           (!C::kWindows || column >= (is_second ? begin1 : begin0) || column < a.sink_tokens);
      if (!visible) s[i] = -INFINITY;
    }
  }

  /// Online softmax of one step: scores become weights, the running maximum and sum move on. The caller multiplies
  /// the output by the returned factors.
  WN_DEVICE float2 soften(float (&s)[kScores]) {
    float new0 = max0, new1 = max1;
#pragma unroll
    for (int i = 0; i < kScores; i += 4) {
      new0 = fmaxf(new0, fmaxf(s[i], s[i + 1]));
      new1 = fmaxf(new1, fmaxf(s[i + 2], s[i + 3]));
    }
#pragma unroll
    for (int step = 1; step <= 2; step *= 2) {
      new0 = fmaxf(new0, __shfl_xor_sync(~0u, new0, step));
      new1 = fmaxf(new1, __shfl_xor_sync(~0u, new1, step));
    }
    // A row that has seen nothing keeps -inf; subtracting 0 instead avoids inf - inf.
    const float shift0 = new0 == -INFINITY ? 0 : new0 * a.scale_log2;
    const float shift1 = new1 == -INFINITY ? 0 : new1 * a.scale_log2;
    const float2 factor = {exp2_fast(max0 * a.scale_log2 - shift0), exp2_fast(max1 * a.scale_log2 - shift1)};
    max0 = new0;
    max1 = new1;
    float step0 = 0, step1 = 0;
#pragma unroll
    for (int i = 0; i < kScores; i += 4) {
      s[i] = exp2_fast(fmaf(s[i], a.scale_log2, -shift0));
      s[i + 1] = exp2_fast(fmaf(s[i + 1], a.scale_log2, -shift0));
      s[i + 2] = exp2_fast(fmaf(s[i + 2], a.scale_log2, -shift1));
      s[i + 3] = exp2_fast(fmaf(s[i + 3], a.scale_log2, -shift1));
      step0 += s[i] + s[i + 1];
      step1 += s[i + 2] + s[i + 3];
    }
    sum0 = sum0 * factor.x + step0;
    sum1 = sum1 * factor.y + step1;
    return factor;
  }
  WN_DEVICE void pack(const float (&s)[kScores]) {
#pragma unroll
    for (int i = 0; i < C::kBlock / 4; i++) weights[i] = pack_bf16(s[2 * i], s[2 * i + 1]);
  }
  WN_DEVICE void rescale(float2 factor) {
#pragma unroll
    for (int i = 0; i < kOut; i++) out[i] *= (i >> 1) & 1 ? factor.y : factor.x;
  }

  /// Four lanes hold eight columns of a row in words of two; afterwards each holds all eight of its own block, in order.
  WN_DEVICE static void transpose(uint32_t (&words)[4], int lane) {
#pragma unroll
    for (int bit = 1; bit <= 2; bit *= 2)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (j & bit) continue;
        const bool is_upper = lane & bit;
        const uint32_t other = __shfl_xor_sync(~0u, is_upper ? words[j] : words[j + bit], bit);
        (is_upper ? words[j] : words[j + bit]) = other;
      }
  }
  WN_DEVICE void store(PrefillSums of) {
#pragma unroll
    for (int step = 1; step <= 2; step *= 2) {
      of.sum0 += __shfl_xor_sync(~0u, of.sum0, step);
      of.sum1 += __shfl_xor_sync(~0u, of.sum1, step);
    }
    const int64_t token_stride = static_cast<int64_t>(a.num_query_heads) * C::kHeadDim;
#pragma unroll
    for (int second = 0; second < 2; second++) {
      const float sum = second ? of.sum1 : of.sum0, inverse = sum > 0 ? 1 / sum : 0;
      const int at = of.row + 8 * second;
      __nv_bfloat16* target = a.out + at * token_stride + of.query_head * C::kHeadDim + 8 * (lane % 4);
#pragma unroll
      for (int i = 2 * second; i < kOut; i += 16) {
        uint32_t words[4];
#pragma unroll
        for (int j = 0; j < 4; j++) words[j] = pack_bf16(out[i + 4 * j] * inverse, out[i + 4 * j + 1] * inverse);
        transpose(words, lane);
        if (at < a.query_len)
          *reinterpret_cast<uint4*>(target + 2 * (i - 2 * second)) = {words[0], words[1], words[2], words[3]};
      }
      if (a.lse && lane % 4 == 0 && at < a.query_len)
        a.lse[static_cast<int64_t>(of.query_head) * a.lse_head_stride + static_cast<int64_t>(at) * a.lse_row_stride] =
            sum > 0 ? (second ? of.max1 : of.max0) * a.scale_log2 * kLn2 + logf(sum) : -INFINITY;
    }
  }
  WN_DEVICE void store(int query_head) { store(sums(query_head)); }
  WN_DEVICE PrefillSums sums(int query_head) const { return {row, query_head, max0, max1, sum0, sum1}; }
};

/// What both consumers do with the steps of a tile: one warp group, 64 query rows.
template <typename C>
struct StepConsumer {
  using Rows = PrefillRows<C>;
  static constexpr int kScores = Rows::kScores;
  const PrefillShared<C>& sm;
  PrefillRings<C> rings;
  int group;
  uint32_t q_address;
  Rows rows;

  WN_DEVICE StepConsumer(const PrefillArgs& args, const PrefillShared<C>& shared, int g) : sm(shared), group(g), rows(args) {}

  /// Every lane arrives for its own reads. One arrival a warp would do, but the race checker cannot follow it, and the
  /// difference in time is below the noise.
  WN_DEVICE void release(uint64_t* barrier) const { barrier_arrive(barrier); }

  /// Scores of step i are under way in `s` when this returns.
  WN_DEVICE int2 begin_step(float (&s)[kScores], int i) {
    const int stage = rings.stage(i);
    barrier_wait(sm.k_full + stage, rings.parity(i));
    const int2 columns = sm.columns[stage];
    rows.issue_scores(s, q_address, shared_address(sm.k) + stage * C::kTileBytes);
    return columns;
  }

  /// After the last scores of a tile nobody reads its queries any more.
  WN_DEVICE void end_scores(int i, int count) const {
    release(sm.k_empty + rings.stage(i));
    if (i + 1 == count) release(sm.q_empty + rings.query());
  }

  /// The scores of a step beside the values of the one before. `masks.look_up(columns, i)` is asked while the scores are under way,
  /// `masks.apply(s, found)` when they are there.
  template <typename Masks>
  WN_DEVICE void run_overlapped(int count, const Masks& masks) {
    {
      float s[kScores];
      const auto mask = masks.look_up(begin_step(s, 0), 0);
      wgmma_wait<0>();
      pin_registers(s);
      end_scores(0, count);
      masks.apply(s, mask);
      rows.soften(s);
      rows.pack(s);
    }
    for (int i = 1; i < count; i++) {
      const int previous = rings.stage(i - 1);
      float s[kScores];
      const int2 columns = begin_step(s, i);
      barrier_wait(sm.v_full + previous, rings.parity(i - 1));
      rows.issue_values(shared_address(sm.v) + previous * C::kTileBytes);
      const auto mask = masks.look_up(columns, i);
      wgmma_wait<1>();
      pin_registers(s);
      end_scores(i, count);
      masks.apply(s, mask);
      const float2 factor = rows.soften(s);
      pin_registers(s);
      // Waiting here for the next keys keeps the compiler from hoisting the wait below above the exponentials, which
      // would undo the overlap without a warning.
      if (i + 1 < count) barrier_wait(sm.k_full + rings.stage(i + 1), rings.parity(i + 1));
      wgmma_wait<0>();
      pin_registers(rows.out);
      release(sm.v_empty + previous);
      rows.pack(s);
      rows.rescale(factor);
    }
    const int last = rings.stage(count - 1);
    barrier_wait(sm.v_full + last, rings.parity(count - 1));
    rows.issue_values(shared_address(sm.v) + last * C::kTileBytes);
    wgmma_wait<0>();
    pin_registers(rows.out);
    release(sm.v_empty + last);
  }
};

/// One warp group: 64 query rows against every step.
template <typename C>
struct PrefillConsumer : StepConsumer<C> {
  using Base = StepConsumer<C>;
  using Base::begin_step, Base::end_scores, Base::group, Base::kScores, Base::q_address, Base::release, Base::rings, Base::rows, Base::sm;
  const PrefillArgs& a;

  WN_DEVICE PrefillConsumer(const PrefillArgs& args, const PrefillShared<C>& shared, int g) : Base(args, shared, g), a(args) {}

  /// Every tile the producer sends, to the end.
  WN_DEVICE void run() {
    for (;;) {
      barrier_wait(sm.q_full + rings.query(), rings.query_parity());
      const int2 sent = {sm.tiles[rings.query()].x, sm.tiles[rings.query()].y};
      if (sent.x < 0) return;
      const PrefillTile tile = tile_at(a, sent.x);
      begin(tile.row_block * C::kRows);
      rows.clear();
      if (sent.y == 0) release(sm.q_empty + rings.query());
      if (sent.y > 0) {
        if constexpr (C::kOverlap)
          Base::run_overlapped(sent.y, *this);
        else
          run_in_order(sent.y);
      }
      rows.store(rows.sums(tile.query_head));
      rings.finish(sent.y);
    }
  }
  WN_DEVICE void begin(int first_row) {
    rows.begin_sums(first_row + group * 64);
    q_address = shared_address(sm.q) + rings.query() * C::kQueryBytes + group * 64 * 128;
  }
  WN_DEVICE static int2 look_up(int2 columns, int) { return columns; }
  WN_DEVICE void apply(float (&s)[kScores], int2 columns) const { rows.mask(s, columns); }

  WN_DEVICE void run_in_order(int count) {
    for (int i = 0; i < count; i++) {
      const int stage = rings.stage(i);
      float s[kScores];
      const int2 columns = begin_step(s, i);
      wgmma_wait<0>();
      pin_registers(s);
      end_scores(i, count);
      rows.mask(s, columns);
      const float2 factor = rows.soften(s);
      rows.pack(s);
      rows.rescale(factor);
      barrier_wait(sm.v_full + stage, rings.parity(i));
      rows.issue_values(shared_address(sm.v) + stage * C::kTileBytes);
      wgmma_wait<0>();
      pin_registers(rows.out);
      release(sm.v_empty + stage);
    }
  }
};

}  // namespace winnow

#endif
