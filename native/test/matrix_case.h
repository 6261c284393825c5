#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "../kernels/weights.h"
#include "parity.h"

namespace winnow::parity {

constexpr WeightType kWeightTypes[] = {WeightType::kF32,  WeightType::kF16,  WeightType::kBf16,
                                       WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1,
                                       WeightType::kQ5_0, WeightType::kQ5_1, WeightType::kIQ4_NL,
                                       WeightType::kQ4_K, WeightType::kQ5_K, WeightType::kQ6_K};

/// Checkpoint bytes of a random matrix, the same for a given (type, rows, cols, seed) everywhere.
struct MatrixCase {
  MatrixCase(WeightType type, int64_t rows, int64_t cols, uint64_t seed, int64_t interleaved_heads = 0) {
    bytes.resize(static_cast<size_t>(rows * RowBytes(type, cols)));
    source = {bytes.data(), static_cast<int64_t>(bytes.size()), type, rows, cols, interleaved_heads};
    if (IsBlockType(type)) {
      FillBlocks(seed);
    } else {
      FillPlain(seed);
    }
  }
  MatrixCase(const MatrixCase&) = delete;
  MatrixCase& operator=(const MatrixCase&) = delete;

  std::vector<double> Values() const {
    std::vector<double> values;
    for (int64_t r = 0; r < source.rows; r++)
      for (int64_t c = 0; c < source.cols; c++) values.push_back(SourceValueReference(source, r, c));
    return values;
  }

  std::vector<std::byte> bytes;
  WeightSource source;

 private:
  void FillPlain(uint64_t seed) {
    for (int64_t i = 0; i < source.rows * source.cols; i++) {
      float f = Noise(seed, 100, static_cast<uint64_t>(i));
      uint16_t half = source.type == WeightType::kF16 ? ToF16(f) : ToBf16(f);
      if (source.type == WeightType::kF32) {
        std::memcpy(&bytes[static_cast<size_t>(4 * i)], &f, 4);
      } else {
        std::memcpy(&bytes[static_cast<size_t>(2 * i)], &half, 2);
      }
    }
  }
  void FillBlocks(uint64_t seed) {
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<std::byte>(static_cast<int>(256 * Uniform(seed, 101, i)));
    auto block = static_cast<size_t>(BlockBytes(source.type));
    bool super = IsSuperBlockType(source.type);
    bool six = source.type == WeightType::kQ6_K, has_minimum = RecordBytes(source.type) == 64 || (super && !six);
    // Scales that put weights near 1, in units of the codes (and of the six- or eight-bit scales of a super-block).
    float largest = source.type == WeightType::kQ8_0 || source.type == WeightType::kIQ4_NL ? 127.f : six ? 32.f * 128 : super ? 16.f * 63 : 16.f;
    for (size_t i = 0; i * block < bytes.size(); i++) {
      uint16_t d = ToF16(static_cast<float>(0.5 + Uniform(seed, 102, i)) / largest);
      uint16_t m = ToF16(static_cast<float>(1 + 0.5 * Uniform(seed, 103, i)) / (super ? 63.f : -1.f));
      std::memcpy(&bytes[i * block + (six ? 208 : 0)], &d, 2);
      if (has_minimum) std::memcpy(&bytes[i * block + 2], &m, 2);
    }
  }
};

}  // namespace winnow::parity
