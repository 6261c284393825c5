/// What a warp does with 32 slots of packed or of element pages in a decode step; see decode_packed.cu.
#ifndef WINNOW_CUDA_DECODE_PACKED_CUH
#define WINNOW_CUDA_DECODE_PACKED_CUH

#include "async_copy.cuh"
#include "mma.cuh"
#include "packed_page.h"

namespace winnow {

struct PackedArgs {
  const __nv_bfloat16* q;
  const __nv_bfloat16* elements;
  const char* pages;
  const int32_t* page_table;
  const int32_t* kv_lens;
  float* part_out;  ///< [splits][rows * num_query_heads][head_dim]
  float* part_lse;
  int64_t page_bytes;
  int32_t num_segments, num_kv_heads, num_query_heads, group_size, page_table_stride;
  /// Bytes: between the params of the keys of both halves of a page, 0 where they share them; of the params of all its keys.
  int32_t key_params_step, key_params_bytes;
  float scale_log2;
};

WN_DEVICE uint32_t as_word(__half2 pair) { return *reinterpret_cast<uint32_t*>(&pair); }
WN_DEVICE __half2 as_pair(uint32_t word) { return *reinterpret_cast<__half2*>(&word); }

/// Codes go into the products as they lie: alone in a half word, at bit s, a code is the f16 number code * 2^(s - 24), exact
/// if small. What is missing is made up for in the queries (of keys) and in the sums (of values). A place is a code's bit
/// within its byte, in codes; bytes are shifted to the low end first.
template <int kBits>
struct Codes {
  static constexpr int kPerWord = 32 / kBits, kPairs = kPerWord / 2, kPlaces = 8 / kBits;
  static constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x10001u;
  /// Codes p and p + kPairs of a word.
  WN_DEVICE static uint32_t pair(uint32_t word, int p) { return (word >> (8 * (p / kPlaces))) & (kMask << (kBits * (p % kPlaces))); }
  /// Half of the range of places, so that queries are scaled up and down by as much.
  static constexpr int kCentre = kBits * (kPlaces - 1) / 2;
};
WN_DEVICE float power_of_two(int exponent) { return __int_as_float((exponent + 127) << 23); }

/// Weights are 2^kWeightShift times too large, so that few of them, times a scale, fall below what f16 can tell apart.
constexpr float kWeightShift = 8;

/// A warp takes 32 slots at a time. Scores: A = key codes, B = queries times the key scales; the minima are one more product.
/// Values: A = value codes, one group of 32 channels a tile, B = weights times the scales of that group; the minima again one
/// more product. Elements come straight from memory: few pages have them.
template <int kHeadDim, int kBits>
struct PackedWarp {
  using Code = Codes<kBits>;
  static constexpr int kRow = kHeadDim * kBits / 8;       ///< bytes of a slot's codes
  static constexpr int kWords = kHeadDim * kBits / 128;   ///< words of a key that a lane holds
  static constexpr int kChunk = kWords < 4 ? kWords : 4;  ///< of them side by side
  static constexpr int kGroups = kHeadDim / 32;
  static constexpr int kRowPieces = kRow / 16;
  /// Keys or values of half a page as they lie in shared memory: codes, then params.
  static constexpr uint32_t kParams = 32 * kRow, kPartBytes = kParams + 4 * kHeadDim, kHalfBytes = 2 * kPartBytes;
  /// 16-byte pieces of rows lie swizzled, so that lanes that read at once meet different banks.
  static constexpr bool kTurnsKeys = kRowPieces == 8;
  static constexpr int kParamMask = kHeadDim == 128 && kWords <= 4 ? 3 : 1;

  const PackedArgs& a;
  int g, t;
  __half2 q[kWords * Code::kPairs];  ///< channels that pair up in a word, times what their place lacks
  float out[kGroups][2][4];          ///< channels 32 group + 4 g + 2 second + {0, 1} of heads 2 t and 2 t + 1, short of their place
  float minima[4];                   ///< of group g
  float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};  ///< of heads 2 t and 2 t + 1

  /// First channel of word w of a lane's keys.
  WN_DEVICE int channel_of(int w) const {
    return kWords > 4 ? w / 4 * 64 + 16 * t + w % 4 * Code::kPerWord : kHeadDim / 4 * t + w * Code::kPerWord;
  }
  /// Swizzle of the rows of values that lanes of this t read.
  WN_DEVICE static uint32_t value_turn(uint32_t t) {
    return kRowPieces == 8 ? 2 * t : kBits == 8 ? 2 * (t & 1) : kRowPieces == 4 ? t : kRowPieces == 2 ? t / 2 : 0;
  }

  /// Query of head g; of head 0 where there is no head g.
  WN_DEVICE const __nv_bfloat16* query_of(int segment) const {
    const int row = segment / a.num_kv_heads, kv_head = segment % a.num_kv_heads;
    return a.q + (static_cast<int64_t>(row) * a.num_query_heads + kv_head * a.group_size + (g < a.group_size ? g : 0)) * kHeadDim;
  }

  WN_DEVICE PackedWarp(const PackedArgs& args, int segment) : a(args) {
    const int lane = threadIdx.x & 31;
    g = lane / 4;
    t = lane % 4;
    const bool has_head = g < a.group_size;
    const __nv_bfloat16* query = query_of(segment);
#pragma unroll
    for (int w = 0; w < kWords; w++)
#pragma unroll
      for (int p = 0; p < Code::kPairs; p++) {
        const float factor = has_head ? power_of_two(Code::kCentre - kBits * (p % Code::kPlaces)) : 0.0f;
        const __nv_bfloat16* pair = query + channel_of(w) + p;
        q[w * Code::kPairs + p] = __floats2half2_rn(__bfloat162float(pair[0]) * factor, __bfloat162float(pair[Code::kPairs]) * factor);
      }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      minima[r] = 0;
#pragma unroll
      for (int i = 0; i < 2 * kGroups; i++) out[i / 2][i % 2][r] = 0;
    }
  }

  /// Starts the copy of slots 32 * half .. + 31 of a page: keys, and values behind them.
  WN_DEVICE static void fetch(const PackedArgs& a, uint32_t target, int32_t entry, uint32_t half) {
    const uint32_t lane = threadIdx.x & 31;
    const char* page = a.pages + entry_page(entry) * a.page_bytes + 16 * lane;
    const char* codes = page + half * kParams;
    // Pieces of rows that whole swizzles lie between turn alike.
    const uint32_t key_place = 16 * (kTurnsKeys ? lane ^ lane / 8 % 2 * 4 : lane), value_place = 16 * (lane ^ value_turn(lane / kRowPieces / 2 % 4));
#pragma unroll
    for (uint32_t i = 0; i < kParams / 512; i++) {
      async_copy_16(target + key_place + 512 * i, codes + 512 * i, true);
      async_copy_16(target + kPartBytes + (value_place ^ (kRowPieces == 8 ? i % 2 * 64 : 0)) + 512 * i, codes + 2 * kParams + 512 * i, true);
    }
    if (16 * lane >= 4 * kHeadDim) return;
    async_copy_16(target + kParams + 16 * (lane ^ (lane / 8 & kParamMask)), page + 4 * kParams + half * a.key_params_step, true);
    async_copy_16(target + kPartBytes + kParams + 16 * lane, page + 4 * kParams + a.key_params_bytes + half * 4 * kHeadDim, true);
  }

  /// Scores of slots 16 c + g (+ 8) against heads 2 t and 2 t + 1, in log2 units.
  WN_DEVICE void scores(const char* part, float (&s)[2][4]) const {
    // Sums of minima that lack alike; of four places, all in one, at a product more.
    constexpr int kLows = Code::kPlaces == 2 ? 2 : 1;
    auto lack = [](int p) { return power_of_two(kBits * p - Code::kCentre); };  // what queries have too much
    float lows[kLows][4] = {};
#pragma unroll
    for (int c = 0; c < 2; c++)
#pragma unroll
      for (int r = 0; r < 4; r++) s[c][r] = 0;
#pragma unroll
    for (int chunk = 0; chunk < kWords / kChunk; chunk++) {
      uint32_t codes[4][kChunk];
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const char* row = part + (8 * c + g) * kRow;
        if constexpr (kTurnsKeys) row += 16 * ((4 * chunk + t) ^ ((g & 1) * 4));
        else row += 4 * kChunk * t;
        if constexpr (kChunk == 4) {
          const uint4 four = *reinterpret_cast<const uint4*>(row);
          codes[c][0] = four.x, codes[c][1] = four.y, codes[c][2] = four.z, codes[c][3] = four.w;
        } else if constexpr (kChunk == 2) {
          const uint2 two = *reinterpret_cast<const uint2*>(row);
          codes[c][0] = two.x, codes[c][1] = two.y;
        } else {
          codes[c][0] = *reinterpret_cast<const uint32_t*>(row);
        }
      }
#pragma unroll
      for (int k = 0; k < kChunk; k++) {
        const int w = chunk * kChunk + k, first = channel_of(w) / 4;
        uint32_t params[Code::kPerWord];
#pragma unroll
        for (int i = 0; i < Code::kPerWord / 4; i++) {
          const int piece = first + i;
          const uint4 four = *reinterpret_cast<const uint4*>(part + kParams + 16 * (piece ^ (piece / 8 & kParamMask)));
          params[4 * i] = four.x, params[4 * i + 1] = four.y, params[4 * i + 2] = four.z, params[4 * i + 3] = four.w;
        }
#pragma unroll
        for (int p = 0; p < Code::kPlaces; p++) {  // pairs p and p + kPlaces have the same place
          uint32_t scaled[2], base[2], own[2];
#pragma unroll
          for (int i = 0; i < 2; i++) {
            const int pair = p + i * Code::kPlaces;
            own[i] = as_word(q[w * Code::kPairs + pair]);
            scaled[i] = as_word(__hmul2(as_pair(own[i]), as_pair(__byte_perm(params[pair], params[pair + Code::kPairs], 0x5410))));
            base[i] = __byte_perm(params[pair], params[pair + Code::kPairs], 0x7632);
            if constexpr (Code::kPlaces == 4) base[i] = as_word(__hmul2(as_pair(base[i]), __float2half2_rn(lack(p))));
          }
          mma_16x8x16_half(lows[p % kLows], base[0], 0, base[1], 0, own[0], own[1]);
#pragma unroll
          for (int c = 0; c < 2; c++)
            mma_16x8x16_half(s[c], Code::pair(codes[2 * c][k], p), Code::pair(codes[2 * c + 1][k], p),
                             Code::pair(codes[2 * c][k], p + Code::kPlaces), Code::pair(codes[2 * c + 1][k], p + Code::kPlaces),
                             scaled[0], scaled[1]);
        }
      }
    }
    const float factor = power_of_two(24 - Code::kCentre) * a.scale_log2;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float low = kLows == 2 ? fmaf(lows[0][r], lack(0), lows[kLows - 1][r] * lack(1)) : lows[0][r], constant = low * a.scale_log2;
#pragma unroll
      for (int i = r; i < 8; i += 2) s[i / 4][i % 4] = fmaf(s[i / 4][i % 4], factor, constant);
    }
  }

  /// A slot's codes of channels 32 j + 4 g .. + 3.
  WN_DEVICE uint32_t value_codes(const char* part, int token, int j) const {
    const char* at = part + token * kRow + 16 * ((kBits * j / 4) ^ (value_turn(t) & (kRowPieces - 1)));
    if constexpr (kBits == 8) {
      // Two pieces a group: the upper half of the lanes reads the second.
      return *reinterpret_cast<const uint32_t*>(part + token * kRow + 16 * ((2 * j + g / 4) ^ value_turn(t)) + 4 * (g & 3));
    } else if constexpr (kBits == 4) {
      return *reinterpret_cast<const uint16_t*>(at + 2 * g);
    } else {
      return *reinterpret_cast<const uint8_t*>(at + j % 2 * 8 + g);
    }
  }

  WN_DEVICE void values(const char* part, const float (&s)[2][4]) {
    const auto* params = reinterpret_cast<const uint32_t*>(part + kParams);
#pragma unroll
    for (int step = 0; step < 2; step++) {  // 16 slots: pairs (2 t, 2 t + 1) and 8 further
      uint32_t scales[2][kGroups], base[2];
      __half2 weights[2];
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const uint32_t* first = params + (16 * step + 8 * half + 2 * t) * kGroups;
        const uint32_t* second = first + kGroups;
#pragma unroll
        for (int j = 0; j < kGroups; j++) scales[half][j] = __byte_perm(first[j], second[j], 0x5410);
        base[half] = __byte_perm(first[g % kGroups], second[g % kGroups], 0x7632);
        weights[half] = as_pair(transpose_matrix(as_word(__floats2half2_rn(s[step][2 * half], s[step][2 * half + 1]))));
      }
      mma_16x8x16_half(minima, base[0], 0, base[1], 0, as_word(weights[0]), as_word(weights[1]));
#pragma unroll
      for (int j = 0; j < kGroups; j++) {
        uint32_t codes[2][2], scaled[2];  // [half][second]: in the low bits of each half word
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int token = 16 * step + 8 * half + 2 * t;
          const uint32_t one = value_codes(part, token, j), other = value_codes(part, token + 1, j);
          const uint32_t low = __byte_perm(one, other, 0x5410);
          codes[half][0] = low;
          codes[half][1] = kBits == 8 ? __byte_perm(one, other, 0x7632) : kBits == 4 ? low >> 8 : low >> 4;
          scaled[half] = as_word(__hmul2(weights[half], as_pair(scales[half][j])));
        }
#pragma unroll
        for (int second = 0; second < 2; second++) {
          // Of two bits, the second pair of codes is moved down, so that all pairs have the same two places.
          auto even = [&](int half) { return codes[half][second] & Code::kMask; };
          auto odd = [&](int half) {
            return kBits == 8 ? codes[half][second] >> 8 & Code::kMask : codes[half][second] & (Code::kMask << kBits);
          };
          mma_16x8x16_half(out[j][second], even(0), odd(0), even(1), odd(1), scaled[0], scaled[1]);
        }
      }
    }
  }
  /// What a sum of value codes lacks: of even and odd channels.
  static constexpr int kLackEven = 24, kLackOdd = kBits == 8 ? 24 : 24 - kBits;

  WN_DEVICE void element_scores(const __nv_bfloat16* query, const __nv_bfloat16* keys, float (&s)[2][4]) const {
    query += 8 * t;
    keys += g * kHeadDim + 8 * t;
#pragma unroll
    for (int c = 0; c < 2; c++) {
#pragma unroll
      for (int r = 0; r < 4; r++) s[c][r] = 0;
#pragma unroll
      for (int i = 0; i < kHeadDim / 32; i++) {
        uint4 own = *reinterpret_cast<const uint4*>(query + 32 * i);
        if (g >= a.group_size) own = {0, 0, 0, 0};
        const uint4 first = *reinterpret_cast<const uint4*>(keys + 16 * c * kHeadDim + 32 * i);
        const uint4 second = *reinterpret_cast<const uint4*>(keys + (16 * c + 8) * kHeadDim + 32 * i);
        mma_16x8x16(s[c], first.x, second.x, first.y, second.y, own.x, own.y);
        mma_16x8x16(s[c], first.z, second.z, first.w, second.w, own.z, own.w);
      }
#pragma unroll
      for (int r = 0; r < 4; r++) s[c][r] *= a.scale_log2;
    }
  }
  WN_DEVICE void element_values(const __nv_bfloat16* values, const float (&s)[2][4]) {
    values += 2 * t * kHeadDim + 4 * g;
#pragma unroll
    for (int step = 0; step < 2; step++) {
      uint32_t weights[2];
#pragma unroll
      for (int half = 0; half < 2; half++) weights[half] = transpose_matrix(pack_bf16(s[step][2 * half], s[step][2 * half + 1]));
#pragma unroll
      for (int j = 0; j < kGroups; j++) {
        uint2 one[2], other[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const __nv_bfloat16* at = values + (16 * step + 8 * half) * kHeadDim + 32 * j;
          one[half] = *reinterpret_cast<const uint2*>(at);
          other[half] = *reinterpret_cast<const uint2*>(at + kHeadDim);
        }
#pragma unroll
        for (int second = 0; second < 2; second++) {
          auto pair = [&](int half, uint32_t bytes) {
            return second == 0 ? __byte_perm(one[half].x, other[half].x, bytes) : __byte_perm(one[half].y, other[half].y, bytes);
          };
          float part[4] = {};
          mma_16x8x16(part, pair(0, 0x5410), pair(0, 0x7632), pair(1, 0x5410), pair(1, 0x7632), weights[0], weights[1]);
#pragma unroll
          for (int r = 0; r < 4; r++)
            out[j][second][r] = fmaf(part[r], power_of_two(r < 2 ? -kLackEven : -kLackOdd), out[j][second][r]);
        }
      }
    }
  }

  /// Weights in place of scores, of which those from `valid` on are no slots; what was summed follows the new maximum.
  WN_DEVICE void weigh(float (&s)[2][4], int valid) {
    float lifted[2], factor[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float best = maximum[r];
#pragma unroll
      for (int i = r; i < 8; i += 2) {
        float& score = s[i / 4][i % 4];
        if (8 * (i / 2) + g >= valid) score = -INFINITY;
        best = fmaxf(best, score);
      }
#pragma unroll
      for (int step = 4; step < 32; step *= 2) best = fmaxf(best, __shfl_xor_sync(~0u, best, step));
      const float shift = best == -INFINITY ? 0 : best;
      factor[r] = exp2_fast(maximum[r] - shift);
      lifted[r] = shift - kWeightShift;
      maximum[r] = best;
      sum[r] *= factor[r];
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float& score = s[i / 4][i % 4];
      score = exp2_fast(score - lifted[i % 2]);
      sum[i % 2] += score;
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      minima[r] *= factor[r % 2];
#pragma unroll
      for (int i = 0; i < 2 * kGroups; i++) out[i / 2][i % 2][r] *= factor[r % 2];
    }
  }
};

}  // namespace winnow

#endif
