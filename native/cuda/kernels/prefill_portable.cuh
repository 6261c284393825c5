/// The portable prefill: shapes of a block, which keys it visits, and what a warp does with a step of them.
#ifndef WINNOW_CUDA_PREFILL_PORTABLE_CUH
#define WINNOW_CUDA_PREFILL_PORTABLE_CUH

#include "async_copy.cuh"
#include "mma.cuh"
#include "prefill_portable.h"

namespace winnow {

/// Four warps of kTiles times sixteen packed queries each; steps of 64 keys. Two tiles a warp halve what is read of keys and
/// values from shared memory. kBlocks blocks share a multiprocessor.
template <int kDimT, int kTilesT, int kBlocksT, bool kCapT>
struct PortableConfig {
  static constexpr int kDim = kDimT, kWarps = 4, kTiles = kTilesT, kBlocks = kBlocksT, kKeys = 64;
  static constexpr bool kCap = kCapT;
  static constexpr int kRows = 16 * kTiles * kWarps, kThreads = 32 * kWarps, kPieces = kDim / 8, kRowBytes = kDim * 2;
  /// Threads that copy a row: as many as it has pieces, rounded up to a power of two.
  static constexpr int kLanes = kPieces <= 8 ? 8 : kPieces <= 16 ? 16 : 32;
  static constexpr int kTileBytes = kKeys * kRowBytes, kQueryBytes = kRows * kRowBytes;
  /// Whether maxima rest in shared memory beside the sums: two tiles fill the registers.
  static constexpr bool kParks = kTiles == 2;
  static constexpr int kParked = 2 * kTiles * (kParks ? 2 : 1);
  static constexpr int kSharedBytes = kQueryBytes + 2 * kTileBytes;
};

/// XOR of a row upon the pieces of a tile, so that eight rows of one piece lie on different banks. Rows of twelve pieces
/// begin on two banks in turn, and four places beside each other do for the rest.
template <int kPieces>
WN_DEVICE int portable_turn(int row) {
  return kPieces % 8 == 0 ? row & 7 : row / 2 & 3;
}
/// Byte inside a row of the piece pair `step`, given the turned half of it: 16 * (half ^ turn).
template <int kPieces>
WN_DEVICE uint32_t portable_pair(int step, uint32_t turned) {
  constexpr int kPairs = kPieces % 8 == 0 ? 4 : 2;  // pairs that a turn permutes
  return (turned ^ static_cast<uint32_t>(32 * (step % kPairs))) + 32 * kPairs * (step / kPairs);
}
template <int kPieces>
WN_DEVICE uint32_t portable_byte(int row, int piece) {
  return row * kPieces * 16 + portable_pair<kPieces>(piece / 2, 16 * ((piece & 1) ^ portable_turn<kPieces>(row)));
}

/// threadIdx.x, read where it is asked for: what follows from it is then worked out anew at each use, and takes no registers
/// from the sums meanwhile.
WN_DEVICE int thread_anew() {
#ifdef __CUDACC__
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
#else
  return threadIdx.x;
#endif
}
/// Keeps loads of one round out of the round before.
WN_DEVICE void compiler_barrier() { asm volatile("" ::: "memory"); }

/// Where a lane reads four matrices of 16 rows by a pair of pieces: of queries and values, rows first; of keys, pieces first.
template <typename C, bool kOfKeys>
struct PortableLane {
  uint32_t address, turned;
  WN_DEVICE explicit PortableLane(uint32_t tile) {
    const int lane = thread_anew() & 31, row = kOfKeys ? (lane & 7) + lane / 16 * 8 : lane & 15;
    address = tile + row * C::kRowBytes;
    turned = 16 * ((kOfKeys ? lane / 8 & 1 : lane / 16) ^ portable_turn<C::kPieces>(row));
  }
  /// Rows from `row`, a multiple of eight, on.
  WN_DEVICE uint32_t at(int row, int pair) const {
    return address + row * C::kRowBytes + portable_pair<C::kPieces>(pair, turned);
  }
};

/// What a packed query sees: slots below `limit`, but none in [sink_end, recent_begin), and positions above `least`.
struct alignas(16) PortableRow {
  int limit, sink_end, recent_begin, least;
};
/// Over the queries of a block.
struct PortableEdges {
  int least_limit, greatest_limit, least_sink, greatest_sink, least_begin, greatest_begin, least_position, greatest_position;
};

/// What a block of queries walks, in shared memory since registers are short: blocks of 64 slots, [first, end) downwards and
/// then the sinks, or those of a list.
struct PortableWalk {
  const int32_t *table, *list;
  const PageReach* reach;
  int64_t head_offset;
  int row, head, n, offset, end, first, sinks, steps;
};

/// A step: its block, page (or the block again; negative where the page was given back), and whether every query sees all of it.
struct PortableStep {
  int block_and_plain, place;
  WN_DEVICE int block() const { return block_and_plain >> 1; }
  WN_DEVICE bool is_plain() const { return block_and_plain & 1; }
};
/// Steps looked up at a time, that many ahead, in a ring so long that nobody reads what is overwritten.
constexpr int kStepsAhead = 16, kStepsKept = 4 * kStepsAhead;

WN_DEVICE PortableStep portable_step(const PortableWalk& walk, const PortableEdges& edges, int i) {
  const int downwards = walk.end - walk.first;
  const int block = walk.list ? walk.list[i] : i < downwards ? walk.end - 1 - i : walk.sinks - 1 - (i - downwards);
  const int begin = block * WN_PAGE_SIZE;
  // Blocks of a list may lie behind the last slot.
  const int place = begin >= walk.n ? -1 : walk.table ? walk.table[block] : block;
  const bool plain = place >= 0 && begin + WN_PAGE_SIZE <= edges.least_limit &&
                     (begin + WN_PAGE_SIZE <= edges.least_sink || begin >= edges.greatest_begin) &&
                     (!walk.reach || walk.reach[block].least > edges.greatest_position);
  return {2 * block + plain, place};
}

/// In place of -inf where nothing has been seen, so that differences from it are numbers. In log2 units.
constexpr float kNoScore = -1e30f;

/// A warp's queries, its maxima in log2 units. Row g of a tile in registers 0, 1; row g + 8 in 2, 3.
template <typename C>
struct PortableWarp {
  static constexpr int kColumns = C::kKeys / 8, kDims = C::kDim / 8;
  float out[C::kTiles][kDims][4];
  float maximum[C::kTiles][2];
  float (*sums)[C::kThreads];  ///< in shared memory, of this lane's columns, then the maxima

  WN_DEVICE explicit PortableWarp(float (*parked)[C::kThreads]) : sums(parked) {
#pragma unroll
    for (int m = 0; m < C::kTiles; m++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        maximum[m][i] = kNoScore;
        if (C::kParks) sums[2 * C::kTiles + 2 * m + i][thread_anew()] = kNoScore;
        sums[2 * m + i][thread_anew()] = 0;
      }
#pragma unroll
      for (int c = 0; c < kDims; c++)
#pragma unroll
        for (int r = 0; r < 4; r++) out[m][c][r] = 0;
    }
  }

  WN_DEVICE void scores(uint32_t q_tile, uint32_t k_tile, float (&s)[C::kTiles][kColumns][4]) const {
#pragma unroll
    for (int m = 0; m < C::kTiles; m++)
#pragma unroll
      for (int c = 0; c < kColumns; c++)
#pragma unroll
        for (int r = 0; r < 4; r++) s[m][c][r] = 0;
    const PortableLane<C, false> queries(q_tile + thread_anew() / 32 * 16 * C::kTiles * C::kRowBytes);
    const PortableLane<C, true> keys(k_tile);
#pragma unroll
    for (int step = 0; step < C::kDim / 16; step++) {
      uint32_t a[C::kTiles][4];
#pragma unroll
      for (int m = 0; m < C::kTiles; m++)
        load_matrices(a[m], queries.at(16 * m, step));
#pragma unroll
      for (int c = 0; c < kColumns; c += 2) {
        uint32_t b[4];
        load_matrices(b, keys.at(8 * c, step));
#pragma unroll
        for (int m = 0; m < C::kTiles; m++) {
          mma_16x8x16(s[m][c], a[m][0], a[m][1], a[m][2], a[m][3], b[0], b[1]);
          mma_16x8x16(s[m][c + 1], a[m][0], a[m][1], a[m][2], a[m][3], b[2], b[3]);
        }
      }
    }
  }

  /// tanh(slope * score): by an odd polynomial where all scores of the warp are so small, within 3e-6, since a cap is far from
  /// most scores and exponentials are scarce; else 1 - 2 / (exp(2 y) + 1).
  WN_DEVICE void cap(float (&s)[C::kTiles][kColumns][4], float slope) const {
    float largest = 0;
#pragma unroll
    for (int m = 0; m < C::kTiles; m++)
#pragma unroll
      for (int c = 0; c < kColumns; c++)
#pragma unroll
        for (int r = 0; r < 4; r++) largest = fmaxf(largest, fabsf(s[m][c][r]));
    if (__all_sync(~0u, largest * slope <= 1)) {
#pragma unroll
      for (int m = 0; m < C::kTiles; m++)
#pragma unroll
        for (int c = 0; c < kColumns; c++)
#pragma unroll
          for (int r = 0; r < 4; r++) {
            const float y = s[m][c][r] * slope, z = y * y;
            s[m][c][r] = y * fmaf(z, fmaf(z, fmaf(z, fmaf(z, 0.0083658141f, -0.0432997021f), 0.1292205489f), -0.3326581994f), 0.9999684671f);
          }
    } else {
#pragma unroll
      for (int m = 0; m < C::kTiles; m++)
#pragma unroll
        for (int c = 0; c < kColumns; c++)
#pragma unroll
          for (int r = 0; r < 4; r++) s[m][c][r] = 1 - __fdividef(2, exp2_fast(s[m][c][r] * (2 * kLog2e * slope)) + 1);
    }
  }

  /// Hides what a query does not see of the 64 slots from `first` on; `positions`: of those slots, null where none slides.
  WN_DEVICE void mask(float (&s)[C::kTiles][kColumns][4], const PortableRow* rows, int first, const int32_t* positions) const {
    const int lane = thread_anew() & 31, column = 2 * (lane % 4);
    rows += thread_anew() / 32 * 16 * C::kTiles + lane / 4;
#pragma unroll
    for (int m = 0; m < C::kTiles; m++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const PortableRow row = rows[16 * m + 8 * i];
        const int limit = row.limit - first - column, sink = row.sink_end - first - column, recent = row.recent_begin - first - column;
#pragma unroll
        for (int c = 0; c < kColumns; c++)
#pragma unroll
          for (int r = 0; r < 2; r++) {
            const int slot = 8 * c + r;
            if (!(slot < limit && (slot < sink || slot >= recent))) s[m][c][2 * i + r] = -INFINITY;
          }
        compiler_barrier();
      }
    if (!positions) return;
#pragma unroll
    for (int c = 0; c < kColumns; c++) {
      const int2 at = *reinterpret_cast<const int2*>(positions + column + 8 * c);
#pragma unroll
      for (int m = 0; m < C::kTiles; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const int least = rows[16 * m + 8 * i].least;
          if (at.x <= least) s[m][c][2 * i] = -INFINITY;
          if (at.y <= least) s[m][c][2 * i + 1] = -INFINITY;
        }
      compiler_barrier();
    }
  }

  /// The maxima of the queries after these scores; what was summed so far follows them.
  WN_DEVICE void raise(const float (&s)[C::kTiles][kColumns][4], float scale) {
    float factor[C::kTiles][2];
    bool moves = false;
#pragma unroll
    for (int m = 0; m < C::kTiles; m++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        if (C::kParks) maximum[m][i] = sums[2 * C::kTiles + 2 * m + i][thread_anew()];
        float best = s[m][0][2 * i];
#pragma unroll
        for (int c = 0; c < kColumns; c++) best = fmaxf(best, fmaxf(s[m][c][2 * i], s[m][c][2 * i + 1]));
        best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
        best = fmaxf(best, __shfl_xor_sync(~0u, best, 2));
        best = fmaxf(maximum[m][i], best * scale);
        factor[m][i] = exp2_fast(maximum[m][i] - best);
        moves = moves || best != maximum[m][i];
        maximum[m][i] = best;
      }
    // Maxima settle after a few steps. All lanes take one way.
    if (!__any_sync(~0u, moves)) return;
#pragma unroll
    for (int i = 0; i < 2 * C::kTiles; i++) {
      sums[i][thread_anew()] *= factor[i / 2][i % 2];
      if (C::kParks) sums[2 * C::kTiles + i][thread_anew()] = maximum[i / 2][i % 2];
    }
#pragma unroll
    for (int m = 0; m < C::kTiles; m++)
#pragma unroll
      for (int c = 0; c < kDims; c++)
#pragma unroll
        for (int r = 0; r < 4; r++) out[m][c][r] *= factor[m][r / 2];
  }

  /// Weights of sixteen keys at a time, then their values: exponentials of the next keys run beside products of these.
  WN_DEVICE void add_values(uint32_t v_tile, float (&s)[C::kTiles][kColumns][4], float scale) {
    const PortableLane<C, false> values(v_tile);
    float sum[C::kTiles][2] = {};
#pragma unroll
    for (int step = 0; step < C::kKeys / 16; step++) {
      uint32_t a[C::kTiles][4];
#pragma unroll
      for (int m = 0; m < C::kTiles; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float(&x)[4] = s[m][2 * step + half];
#pragma unroll
          for (int r = 0; r < 4; r++) x[r] = exp2_fast(fmaf(x[r], scale, -maximum[m][r / 2]));
#pragma unroll
          for (int i = 0; i < 2; i++) {
            sum[m][i] += x[2 * i] + x[2 * i + 1];
            a[m][2 * half + i] = pack_bf16(x[2 * i], x[2 * i + 1]);
          }
        }
#pragma unroll
      for (int c = 0; c < C::kDim / 16; c++) {
        uint32_t b[4];
        load_matrices_transposed(b, values.at(16 * step, c));
#pragma unroll
        for (int m = 0; m < C::kTiles; m++) {
          mma_16x8x16(out[m][2 * c], a[m][0], a[m][1], a[m][2], a[m][3], b[0], b[1]);
          mma_16x8x16(out[m][2 * c + 1], a[m][0], a[m][1], a[m][2], a[m][3], b[2], b[3]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 2 * C::kTiles; i++) sums[i][thread_anew()] += sum[i / 2][i % 2];
  }

  /// Whole sums of the queries.
  WN_DEVICE void join_sums(float (&sum)[C::kTiles][2]) {
#pragma unroll
    for (int m = 0; m < C::kTiles; m++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        if (C::kParks) maximum[m][i] = sums[2 * C::kTiles + 2 * m + i][thread_anew()];
        sum[m][i] = sums[2 * m + i][thread_anew()];
        sum[m][i] += __shfl_xor_sync(~0u, sum[m][i], 1);
        sum[m][i] += __shfl_xor_sync(~0u, sum[m][i], 2);
      }
  }
};

}  // namespace winnow

#endif
