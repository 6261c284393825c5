#include "quantise.h"

#include "numerics.h"

namespace winnow::WINNOW_ISA {

constexpr float kHalfMax = 65504.0f;
constexpr float kRound = 12582912.0f;  ///< adding and subtracting rounds to the nearest whole number, halves to even

static inline float Bounded(float x) { return x < -kHalfMax ? -kHalfMax : x > kHalfMax ? kHalfMax : x; }

static inline float Widen(uint16_t half) {
#if defined(WINNOW_ISA_AVX512) || defined(WINNOW_ISA_AVX2)
  return _cvtsh_ss(half);
#else
  return FromF16(half);
#endif
}

/// Stored scale and minimum of a range, and what encoding needs of them.
static void MakeCodec(float low, float high, float levels, uint16_t* scale, uint16_t* minimum, float* base, float* inverse) {
  if (!(low <= high)) low = high = 0.0f;
  low = Bounded(low);
  high = Bounded(high);
  *scale = ToF16((high - low) / levels);
  *minimum = ToF16(low);
  *base = FromF16(*minimum);
  const float step = FromF16(*scale);
  *inverse = step > 0.0f ? 1.0f / step : 0.0f;
}

/// Sixteen codes, one a byte, closed up to `bits` bits each.
static inline void PackCodes(const uint8_t* bytes, int bits, uint8_t* out) {
  for (int half = 0; half < 2; half++) {
    uint64_t x;
    std::memcpy(&x, bytes + 8 * half, 8);
    if (bits == 4) {
      x = (x | x >> 4) & 0x00ff00ff00ff00ffull;
      x = (x | x >> 8) & 0x0000ffff0000ffffull;
      x = x | x >> 16;
      std::memcpy(out + 4 * half, &x, 4);
    } else if (bits == 2) {
      x = (x | x >> 6) & 0x000f000f000f000full;
      x = (x | x >> 12) & 0x000000ff000000ffull;
      x = x | x >> 24;
      std::memcpy(out + 2 * half, &x, 2);
    } else {
      std::memcpy(out + 8 * half, &x, 8);
    }
  }
}

static inline void ToBytes(Lanes codes, uint8_t* bytes) {
#if defined(WINNOW_ISA_AVX512)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(codes.v)));
#else
  float values[16];
  Store(values, codes);
  for (int i = 0; i < 16; i++) bytes[i] = static_cast<uint8_t>(values[i]);
#endif
}

static void EncodeRow(const float* x, int32_t dim, int bits, const float* base, const float* inverse, uint8_t* codes) {
  const Lanes most = Set(static_cast<float>((1 << bits) - 1));
  for (int32_t c = 0; c < dim; c += 16) {
    const int n = dim - c < 16 ? dim - c : 16;
    const Lanes scaled = Mul(Sub(LoadPartial(x + c, n), Load(base + c)), Load(inverse + c));
    const Lanes code = Sub(Add(Min(Max(scaled, Set(0.0f)), most), Set(kRound)), Set(kRound));
    uint8_t bytes[16];
    uint8_t packed[16];
    ToBytes(code, bytes);
    PackCodes(bytes, bits, packed);
    uint8_t* to = codes + static_cast<int64_t>(c) * bits / 8;
    for (int i = 0; i < n * bits / 8; i++) to[i] = packed[i];
  }
}

static void Encode(const QuantiseParams& p) {
  const int bits = p.format.bits;
  const float levels = static_cast<float>((1 << bits) - 1);
  const int32_t group = p.format.group;
  const int64_t row_bytes = static_cast<int64_t>(p.dim) * bits / 8;
  alignas(64) float low[kMaxQuantisedDim];
  alignas(64) float high[kMaxQuantisedDim];
  alignas(64) float base[kMaxQuantisedDim] = {};
  alignas(64) float inverse[kMaxQuantisedDim] = {};
  int64_t index = 0;
  const int32_t tall = p.format.along == 0 ? group : 1;
  for (int32_t row = 0; row < p.rows; row += tall) {
    const float* x = p.values + static_cast<int64_t>(row) * p.dim;
    for (int32_t c = 0; c < p.dim; c += 16) {
      const int n = p.dim - c;
      Lanes least = Set(INFINITY);
      Lanes most = Set(-INFINITY);
      for (int32_t i = 0; i < tall; i++) {
        const Lanes v = LoadPartial(x + static_cast<int64_t>(i) * p.dim + c, n);
        least = Min(v, least);
        most = Max(v, most);
      }
      Store(low + c, least);
      Store(high + c, most);
    }
    const int32_t wide = p.format.along == 0 ? 1 : group;
    for (int32_t c = 0; c < p.dim; c += wide, index++) {
      float least = low[c];
      float most = high[c];
      for (int32_t i = 1; i < wide; i++) {
        least = low[c + i] < least ? low[c + i] : least;
        most = high[c + i] > most ? high[c + i] : most;
      }
      MakeCodec(least, most, levels, p.scales + index, p.minima + index, base + c, inverse + c);
      for (int32_t i = 1; i < wide; i++) {
        base[c + i] = base[c];
        inverse[c + i] = inverse[c];
      }
    }
    for (int32_t i = 0; i < tall; i++) {
      EncodeRow(x + static_cast<int64_t>(i) * p.dim, p.dim, bits, base, inverse, p.codes + (row + i) * row_bytes);
    }
  }
}

/// n codes (16, or the last 8 of a row) from `channel` on, as floats. Reads only the bytes that hold them.
template <int bits>
static inline Lanes DecodeCodes(const uint8_t* row, int32_t channel, int n) {
  const uint8_t* from = row + static_cast<int64_t>(channel) * bits / 8;
#if defined(WINNOW_ISA_AVX512)
  uint64_t low = 0;
  uint64_t high = 0;
  if (n == 16) {
    std::memcpy(&low, from, bits == 8 ? 8 : 2 * bits);
    if (bits == 8) std::memcpy(&high, from + 8, 8);
  } else {
    std::memcpy(&low, from, bits);
  }
  __m128i bytes = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
  if (bits == 4) {
    const __m128i pairs = _mm_cvtepu8_epi16(bytes);
    bytes = _mm_and_si128(_mm_or_si128(pairs, _mm_slli_epi16(pairs, 4)), _mm_set1_epi8(15));
  } else if (bits == 2) {
    const __m128i quads = _mm_cvtepu8_epi32(bytes);
    bytes = _mm_or_si128(_mm_or_si128(quads, _mm_slli_epi32(quads, 6)),
                         _mm_or_si128(_mm_slli_epi32(quads, 12), _mm_slli_epi32(quads, 18)));
    bytes = _mm_and_si128(bytes, _mm_set1_epi8(3));
  }
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
#else
  uint8_t packed[16] = {};
  if (n == 16) std::memcpy(packed, from, 2 * bits);
  else std::memcpy(packed, from, bits);
  float codes[16];
  constexpr int per_byte = 8 / bits;
  constexpr int mask = (1 << bits) - 1;
  for (int i = 0; i < 16; i++) codes[i] = static_cast<float>(packed[i / per_byte] >> (i % per_byte * bits) & mask);
  return Load(codes);
#endif
}

static inline void StoreSome(float* out, Lanes v, int n) {
  if (n == 16) Store(out, v);
  else StorePartial(out, v, n);
}
static inline void StoreSome(Bf16* out, Lanes v, int n) {
  if (n == 16) StoreBf16(out, v);
  else StoreBf16Partial(out, v, n);
}

/// Scales and minima of one row, spread over its channels.
static void Spread(const DequantiseParams& p, int32_t row, float* scale, float* minimum) {
  if (p.format.along == 0) {
    const int64_t at = static_cast<int64_t>(row / p.format.group) * p.dim;
    for (int32_t c = 0; c < p.dim; c++) {
      scale[c] = Widen(p.scales[at + c]);
      minimum[c] = Widen(p.minima[at + c]);
    }
    return;
  }
  const int32_t group = p.format.group;
  int64_t at = static_cast<int64_t>(row) * (p.dim / group);
  for (int32_t c = 0; c < p.dim; c += group, at++) {
    const Lanes step = Set(Widen(p.scales[at]));
    const Lanes base = Set(Widen(p.minima[at]));
    for (int32_t i = 0; i < group; i += 16) {
      StorePartial(scale + c + i, step, group - i);
      StorePartial(minimum + c + i, base, group - i);
    }
  }
}

template <int bits, class T>
static void DecodeRows(const DequantiseParams& p, T* out) {
  const int64_t row_bytes = static_cast<int64_t>(p.dim) * bits / 8;
  alignas(64) float scale[kMaxQuantisedDim];
  alignas(64) float minimum[kMaxQuantisedDim];
  for (int32_t row = p.first; row < p.first + p.count; row++, out += p.stride) {
    if (row == p.first || p.format.along == 1 || row % p.format.group == 0) Spread(p, row, scale, minimum);
    const uint8_t* codes = p.codes + row * row_bytes;
    for (int32_t c = 0; c < p.dim; c += 16) {
      const int n = p.dim - c < 16 ? p.dim - c : 16;
      // A code times an f16 scale is exact in f32, so this equals the fused product.
      StoreSome(out + c, Add(Mul(DecodeCodes<bits>(codes, c, n), Load(scale + c)), Load(minimum + c)), n);
    }
  }
}

template <class T>
static void Decode(const DequantiseParams& p, T* out) {
  if (p.format.bits == 8) DecodeRows<8>(p, out);
  if (p.format.bits == 4) DecodeRows<4>(p, out);
  if (p.format.bits == 2) DecodeRows<2>(p, out);
}

static void DecodeF32(const DequantiseParams& p, float* out) { Decode(p, out); }
static void DecodeBf16(const DequantiseParams& p, Bf16* out) { Decode(p, out); }

}  // namespace winnow::WINNOW_ISA

namespace winnow {
WINNOW_DEFINE_KERNELS(QuantiseKernels, {&WINNOW_ISA::Encode, &WINNOW_ISA::DecodeF32, &WINNOW_ISA::DecodeBf16});
}
