/// Codes with bits beyond the fourth, and codes by table: the part of gemm_unpack.isa.h for Q5, Q6 and IQ4 types. Included
/// there, inside the namespace of the instruction set.
///
/// As nibbles, codes stay where they are in a word: nibble i at 4 i and its upper bits, moved there from a word of their
/// own, right above. They overlap the next nibble, which is masked out. The float is code * 16^i.

/// Where the upper bits of nibble 0 of word v lie in their word.
template <Codes kCodes>
constexpr int TopShift(int v) {
  return kCodes == Codes::kFive ? v : v % 2 * 2;
}
template <Codes kCodes>
inline const uint8_t* TopWords(const uint8_t* cell, int v) {
  return kCodes == Codes::kFive ? cell + 256 : cell + 256 + v / 2 * 64;
}

/// Upper bits of the codes of word v of a cell, those of nibble i at 4 i + 4, for the low or high half of the word; other
/// bits are of other codes.
#if defined(WINNOW_ISA_AVX512)
template <Codes kCodes>
inline Words LoadTopBits(const uint8_t* cell, int v, bool high) {
  __m512i top = _mm512_loadu_si512(TopWords<kCodes>(cell, v));
  int shift = TopShift<kCodes>(v);
  return {high ? _mm512_srl_epi32(top, _mm_cvtsi32_si128(12 + shift)) : _mm512_sll_epi32(top, _mm_cvtsi32_si128(4 - shift))};
}
template <Codes kCodes>
inline Lanes CodeInPlace(Words low, Words top, int i) {
  __m512i code = _mm512_ternarylogic_epi32(low.v, top.v, _mm512_set1_epi32(15 << (4 * i)), 0xe4 /* c ? low : top */);
  return {_mm512_cvtepi32_ps(_mm512_and_si512(code, _mm512_set1_epi32((kCodes == Codes::kFive ? 31 : 63) << (4 * i))))};
}
inline __m512 TableFloats() {
  return _mm512_setr_ps(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}
inline Lanes TableValue(Words w, int i) { return {_mm512_permutexvar_ps(_mm512_srli_epi32(w.v, 4 * i), TableFloats())}; }
#elif defined(WINNOW_ISA_AVX2)
template <Codes kCodes>
inline Words LoadTopBits(const uint8_t* cell, int v, bool high) {
  auto* at = reinterpret_cast<const __m256i*>(TopWords<kCodes>(cell, v));
  __m256i first = _mm256_loadu_si256(at), second = _mm256_loadu_si256(at + 1);
  __m128i shift = _mm_cvtsi32_si128(high ? 12 + TopShift<kCodes>(v) : 4 - TopShift<kCodes>(v));
  if (high) return {_mm256_srl_epi32(first, shift), _mm256_srl_epi32(second, shift)};
  return {_mm256_sll_epi32(first, shift), _mm256_sll_epi32(second, shift)};
}
template <Codes kCodes>
inline Lanes CodeInPlace(Words low, Words top, int i) {
  const __m256i nibble = _mm256_set1_epi32(15 << (4 * i)), upper = _mm256_set1_epi32((kCodes == Codes::kFive ? 1 : 3) << (4 * i + 4));
  auto side = [&](__m256i l, __m256i t) {
    return _mm256_cvtepi32_ps(_mm256_or_si256(_mm256_and_si256(l, nibble), _mm256_and_si256(t, upper)));
  };
  return {side(low.low, top.low), side(low.high, top.high)};
}
inline Lanes TableValue(Words w, int i) {
  // A permute has 8 entries; bit 3 of the nibble, moved to the sign, says which of two tables is meant.
  const __m256 first = _mm256_setr_ps(-127, -104, -83, -65, -49, -35, -22, -10), second = _mm256_setr_ps(1, 13, 25, 38, 53, 69, 89, 113);
  auto side = [&](__m256i x) {
    __m256i index = _mm256_srli_epi32(x, 4 * i);
    __m256 is_second = _mm256_castsi256_ps(_mm256_slli_epi32(x, 28 - 4 * i));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, index), _mm256_permutevar8x32_ps(second, index), is_second);
  };
  return {side(w.low), side(w.high)};
}
#else
template <Codes kCodes>
inline Words LoadTopBits(const uint8_t* cell, int v, bool high) {
  Words w;
  std::memcpy(w.v, TopWords<kCodes>(cell, v), sizeof w.v);
  int shift = TopShift<kCodes>(v);
  for (int o = 0; o < kLanes; o++) w.v[o] = high ? w.v[o] >> (12 + shift) : w.v[o] << (4 - shift);
  return w;
}
template <Codes kCodes>
inline Lanes CodeInPlace(Words low, Words top, int i) {
  Lanes r;
  uint32_t nibble = 15u << (4 * i), upper = (kCodes == Codes::kFive ? 1u : 3u) << (4 * i + 4);
  for (int o = 0; o < kLanes; o++) r.v[o] = static_cast<float>((low.v[o] & nibble) | (top.v[o] & upper));
  return r;
}
inline Lanes TableValue(Words w, int i) {
  Lanes r;
  for (int o = 0; o < kLanes; o++) r.v[o] = static_cast<float>(kTableValues[w.v[o] >> (4 * i) & 15u]);
  return r;
}
#endif

/// Codes of one word vector of a cell: Even(i), Odd(i) are those of k = 2 i and 2 i + 1, times 16^i unless by table.
template <Codes kCodes>
struct CodeWords {
  Words even, odd, even_top{}, odd_top{};

  CodeWords(const uint8_t* cell, int v) : even(LoadNibbles(cell + v * 64)), odd(HighHalves(even)) {
    if constexpr (kCodes == Codes::kFive || kCodes == Codes::kSix) {
      even_top = LoadTopBits<kCodes>(cell, v, false);
      odd_top = LoadTopBits<kCodes>(cell, v, true);
    }
  }
  Lanes Even(int i) const { return Value(even, even_top, i); }
  Lanes Odd(int i) const { return Value(odd, odd_top, i); }

 private:
  static Lanes Value(const Words& low, const Words& top, int i) {
    if constexpr (kCodes == Codes::kTable) return TableValue(low, i);
    else if constexpr (kCodes == Codes::kNibbles) return NibbleInPlace(low, i);
    else return CodeInPlace<kCodes>(low, top, i);
  }
};
