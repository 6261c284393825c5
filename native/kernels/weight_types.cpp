#include "weight_types.h"

#include <cstring>

#include "numerics.h"

namespace winnow {

namespace {

constexpr const char* kTypeNames[kNumWeightTypes] = {"F32",  "F16",  "BF16",   "Q8_0", "Q4_0", "Q4_1",
                                                     "Q5_0", "Q5_1", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K"};

uint8_t Byte(const std::byte* p) { return static_cast<uint8_t>(*p); }

uint16_t HalfBits(const std::byte* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}
float HalfAt(const std::byte* p) { return FromF16(HalfBits(p)); }

/// 16 bytes of nibbles: value i in the low half of byte i, value 16 + i in its high half.
void SplitNibbles(const std::byte* bytes, uint8_t (&codes)[kBlock]) {
  for (int i = 0; i < 16; i++) {
    codes[i] = Byte(bytes + i) & 15;
    codes[16 + i] = Byte(bytes + i) >> 4;
  }
}

void AddFifthBits(const std::byte* bytes, uint8_t (&codes)[kBlock]) {
  uint32_t high;
  std::memcpy(&high, bytes, 4);
  for (int i = 0; i < kBlock; i++) codes[i] |= static_cast<uint8_t>((high >> i & 1u) << 4);
}

/// Sub-block j of Q4_K and Q5_K: low or high nibbles of 32 bytes that two sub-blocks share.
void SuperNibbles(const std::byte* bytes, int j, uint8_t (&codes)[kBlock]) {
  const std::byte* at = bytes + j / 2 * 32;
  for (int i = 0; i < kBlock; i++) codes[i] = Byte(at + i) >> (j % 2 * 4) & 15;
}

/// Six-bit scale and minimum of sub-block j from the 12 bytes of Q4_K and Q5_K: the first four in the low six bits of
/// bytes 0-3 and 4-7, the others in a nibble of bytes 8-11 with two bits from the top of those.
void SixBitScales(const std::byte* s, int j, uint8_t* scale, uint8_t* minimum) {
  if (j < 4) {
    *scale = Byte(s + j) & 63;
    *minimum = Byte(s + 4 + j) & 63;
  } else {
    uint8_t low = Byte(s + 4 + j);
    *scale = static_cast<uint8_t>((low & 15) | (Byte(s + j - 4) >> 6 << 4));
    *minimum = static_cast<uint8_t>((low >> 4) | (Byte(s + j) >> 6 << 4));
  }
}

}  // namespace

const char* NameOf(WeightType type) { return kTypeNames[static_cast<int>(type)]; }

bool WeightTypeFromName(const char* name, WeightType* out) {
  for (int i = 0; i < kNumWeightTypes; i++) {
    if (std::strcmp(name, kTypeNames[i]) == 0) {
      *out = static_cast<WeightType>(i);
      return true;
    }
  }
  return false;
}

const char* WeightTypeNames() { return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, Q4_K, Q5_K or Q6_K"; }

int64_t BlockBytes(WeightType type) {
  constexpr int64_t kBytes[kNumWeightTypes] = {4, 2, 2, 34, 18, 20, 22, 24, 18, 144, 176, 210};
  return kBytes[static_cast<int>(type)];
}

int64_t RowBytes(WeightType type, int64_t cols) { return cols / BlockValues(type) * BlockBytes(type); }

void DecodeCodes(WeightType type, const std::byte* row, int64_t block, uint8_t (&codes)[kBlock]) {
  int64_t cells = RecordCells(type);
  const std::byte* b = row + block / cells * BlockBytes(type);
  int j = static_cast<int>(block % cells);
  switch (type) {
    case WeightType::kQ8_0:
      for (int i = 0; i < kBlock; i++) codes[i] = Byte(b + 2 + i) ^ 0x80;
      return;
    case WeightType::kQ4_0:
    case WeightType::kIQ4_NL: return SplitNibbles(b + 2, codes);
    case WeightType::kQ4_1: return SplitNibbles(b + 4, codes);
    case WeightType::kQ5_0:
      SplitNibbles(b + 6, codes);
      return AddFifthBits(b + 2, codes);
    case WeightType::kQ5_1:
      SplitNibbles(b + 8, codes);
      return AddFifthBits(b + 4, codes);
    case WeightType::kQ4_K: return SuperNibbles(b + 16, j, codes);
    case WeightType::kQ5_K:
      SuperNibbles(b + 48, j, codes);
      for (int i = 0; i < kBlock; i++) codes[i] |= static_cast<uint8_t>((Byte(b + 16 + i) >> j & 1) << 4);
      return;
    case WeightType::kQ6_K: {
      // Four sub-blocks share 64 bytes of nibbles (two in the low, two in the high halves) and 32 bytes of bit pairs.
      const std::byte* low = b + j / 4 * 64 + j % 2 * 32;
      const std::byte* high = b + 128 + j / 4 * 32;
      for (int i = 0; i < kBlock; i++) {
        int nibble = Byte(low + i) >> (j % 4 / 2 * 4) & 15, pair = Byte(high + i) >> (j % 4 * 2) & 3;
        codes[i] = static_cast<uint8_t>(nibble | pair << 4);
      }
      return;
    }
    default: return;
  }
}

void DecodeScales(WeightType type, const std::byte* block, int r, std::byte* record) {
  auto half = [&](int which, uint16_t bits) { std::memcpy(record + (which * 16 + r) * 2, &bits, 2); };
  if (!IsSuperBlockType(type)) {
    half(0, HalfBits(block));
    if (RecordBytes(type) == 64) half(1, HalfBits(block + 2));
    return;
  }
  if (type == WeightType::kQ6_K) {
    half(0, HalfBits(block + 208));
    for (int j = 0; j < 16; j++) record[32 + j * 16 + r] = block[192 + j];
    return;
  }
  half(0, HalfBits(block));
  half(1, HalfBits(block + 2) ^ 0x8000);
  for (int j = 0; j < 8; j++) {
    uint8_t scale, minimum;
    SixBitScales(block + 4, j, &scale, &minimum);
    record[64 + j * 32 + r] = std::byte{scale};
    record[64 + j * 32 + 16 + r] = std::byte{minimum};
  }
}

ScalePair ScalesAt(WeightType type, const std::byte* record, int cell, int half, int r) {
  float d = HalfAt(record + 2 * r);
  switch (type) {
    case WeightType::kQ8_0: return {d, -128.f * d};
    case WeightType::kQ4_0: return {d, -8.f * d};
    case WeightType::kQ5_0: return {d, -16.f * d};
    case WeightType::kIQ4_NL: return {d, 0.f};
    case WeightType::kQ4_1:
    case WeightType::kQ5_1: return {d, HalfAt(record + 32 + 2 * r)};
    case WeightType::kQ6_K: {
      float scaled = d * static_cast<float>(static_cast<int8_t>(record[32 + (cell * 2 + half) * 16 + r]));
      return {scaled, -32.f * scaled};
    }
    default: {
      const std::byte* at = record + 64 + cell * 32 + r;
      return {d * static_cast<float>(Byte(at)), HalfAt(record + 32 + 2 * r) * static_cast<float>(Byte(at + 16))};
    }
  }
}

}  // namespace winnow
