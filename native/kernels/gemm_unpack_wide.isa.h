/// Codes of 5 and 6 bits, and codes by table: the part of gemm_unpack.isa.h for Q5, Q6 and IQ4 types. Included there, inside
/// the namespace of the instruction set.

#if defined(WINNOW_ISA_AVX512)
inline Words ShiftRight(Words w, int n) { return {_mm512_srli_epi32(w.v, static_cast<unsigned>(n))}; }
inline Words And(Words w, int mask) { return {_mm512_and_si512(w.v, _mm512_set1_epi32(mask))}; }
inline Words Or(Words a, Words b) { return {_mm512_or_si512(a.v, b.v)}; }
inline Lanes Floats(Words w) { return {_mm512_cvtepi32_ps(w.v)}; }
inline __m512 TableFloats() {
  return _mm512_setr_ps(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}
inline Lanes TableValue(Words w, int i) { return {_mm512_permutexvar_ps(_mm512_srli_epi32(w.v, 4 * i), TableFloats())}; }
#elif defined(WINNOW_ISA_AVX2)
inline Words ShiftRight(Words w, int n) { return {_mm256_srli_epi32(w.low, n), _mm256_srli_epi32(w.high, n)}; }
inline Words And(Words w, int mask) {
  __m256i m = _mm256_set1_epi32(mask);
  return {_mm256_and_si256(w.low, m), _mm256_and_si256(w.high, m)};
}
inline Words Or(Words a, Words b) { return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)}; }
inline Lanes Floats(Words w) { return {_mm256_cvtepi32_ps(w.low), _mm256_cvtepi32_ps(w.high)}; }
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
inline Words ShiftRight(Words w, int n) {
  for (int o = 0; o < kLanes; o++) w.v[o] >>= n;
  return w;
}
inline Words And(Words w, int mask) {
  for (int o = 0; o < kLanes; o++) w.v[o] &= static_cast<uint32_t>(mask);
  return w;
}
inline Words Or(Words a, Words b) {
  for (int o = 0; o < kLanes; o++) a.v[o] |= b.v[o];
  return a;
}
inline Lanes Floats(Words w) {
  Lanes r;
  for (int o = 0; o < kLanes; o++) r.v[o] = static_cast<float>(w.v[o]);
  return r;
}
inline Lanes TableValue(Words w, int i) {
  Lanes r;
  for (int o = 0; o < kLanes; o++) r.v[o] = static_cast<float>(kTableValues[w.v[o] >> (4 * i) & 15u]);
  return r;
}
#endif

/// Calls put(pair, field, even, odd) for the k pairs of one part of a cell (all of it for 5 bits, a half for 6), in order: codes
/// of k = 2 pair and 2 pair + 1, left where they are in their half word, so that the floats are code * 2^(bits * field).
template <Codes kCodes, class Put>
inline void ForEachWideCode(const uint8_t* cell, int part, Put put) {
  constexpr bool kIsSix = kCodes == Codes::kSix;
  constexpr int kBits = kIsSix ? 6 : 5, kFields = kIsSix ? 2 : 3, kWords = kIsSix ? 3 : 5, kMask = (1 << kBits) - 1;
  Words w[kWords];
#pragma GCC unroll 5
  for (int j = 0; j < kWords; j++) w[j] = LoadNibbles(cell + (part * kWords + j) * 64);
#pragma GCC unroll 5
  for (int j = 0; j < kWords; j++) {
    Words odd = HighHalves(w[j]);
#pragma GCC unroll 3
    for (int i = 0; i < kFields; i++) {
      put(8 * part + kFields * j + i, i, Floats(And(w[j], kMask << (kBits * i))), Floats(And(odd, kMask << (kBits * i))));
    }
  }
  if constexpr (kIsSix) {
    // The upper nibbles of the first two words, each with two bits of the third.
    auto last = [&](int which, int base) {
      return Floats(Or(And(ShiftRight(w[which], base + 12), 15), And(ShiftRight(w[2], base + 8 + 2 * which), 48)));
    };
    put(8 * part + 6, 0, last(0, 0), last(0, 16));
    put(8 * part + 7, 0, last(1, 0), last(1, 16));
  } else {
    // One bit of each word.
    auto last = [&](int base) {
      Words code = And(ShiftRight(w[0], base + 15), 1);
#pragma GCC unroll 4
      for (int j = 1; j < 5; j++) code = Or(code, And(ShiftRight(w[j], base + 15 - j), 1 << j));
      return Floats(code);
    };
    put(15, 0, last(0), last(16));
  }
}
