#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../kernels/isa.h"
#include "../kernels/numerics.h"
#include "../kernels/pool.h"

/// The parity table: each op runs against its fp64 reference over odd sizes, on every instruction set of the machine.
///
///   // native/test/rms_norm_parity.cpp
///   static void RmsNormParity(winnow::parity::Report& report) {
///     for (winnow::Isa isa : winnow::AvailableIsas()) for (int width : winnow::parity::kSizes) {
///       winnow::parity::Guarded<float> x(width), out(width);
///       winnow::parity::Fill(x, /*seed*/ 1, /*stream*/ width);
///       ...
///       report.Check({.op = "rms_norm", .isa = isa, .params = "T=1 D=17", .seed = 1},
///                    parity::RelativeRms(out.data(), expected.data(), width), /*bound*/ 1e-6, out.intact());
///     }
///   }
///   WINNOW_PARITY(rms_norm, RmsNormParity);
namespace winnow::parity {

constexpr int kSizes[] = {1, 3, 15, 16, 17, 255, 256, 1000};
constexpr int kRows[] = {1, 2, 7, 37};

/// Uniform in [0, 1): hash of (seed, stream, index). No state, so any case can be repeated alone.
inline double Uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  uint64_t z = seed * 0x9e3779b97f4a7c15ull + stream * 0xd1b54a32d192ed03ull + (index + 1) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}
/// In [-1, 1), with some values a hundred times smaller: flat noise hides scale mistakes.
inline float Noise(uint64_t seed, uint64_t stream, uint64_t index) {
  double u = 2 * Uniform(seed, stream, index) - 1;
  return static_cast<float>(index % 7 == 3 ? u * 0.01 : u);
}

/// A buffer between guard words, optionally `offset` elements off 64-byte alignment.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t count, size_t offset = 0) : count_(count) {
    bytes_.assign(kGuard * 2 + 64 + (count + offset) * sizeof(T), kPattern);
    auto start = reinterpret_cast<uintptr_t>(bytes_.data()) + kGuard;
    start = (start + 63) / 64 * 64 + offset * sizeof(T);
    data_ = reinterpret_cast<T*>(start);
    std::memset(static_cast<void*>(data_), 0, count * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t size() const { return count_; }
  /// No byte outside [data, data + count) was written.
  bool intact() const {
    auto* first = reinterpret_cast<const unsigned char*>(data_);
    auto* last = reinterpret_cast<const unsigned char*>(data_ + count_);
    for (auto* p = bytes_.data(); p != first; p++)
      if (*p != kPattern) return false;
    for (auto* p = last; p != bytes_.data() + bytes_.size(); p++)
      if (*p != kPattern) return false;
    return true;
  }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kPattern = 0xa5;
  size_t count_;
  std::vector<unsigned char> bytes_;
  T* data_;
};

inline void Fill(Guarded<float>& buffer, uint64_t seed, uint64_t stream, float scale = 1) {
  for (size_t i = 0; i < buffer.size(); i++) buffer[i] = scale * Noise(seed, stream, i);
}
inline void Fill(Guarded<Bf16>& buffer, uint64_t seed, uint64_t stream, float scale = 1) {
  for (size_t i = 0; i < buffer.size(); i++) buffer[i] = ToBf16(scale * Noise(seed, stream, i));
}

/// sqrt(sum (a - b)^2 / sum b^2) (absolute where b is all zero); infinite when finiteness differs.
double RelativeRms(const float* actual, const double* expected, size_t n);
double RelativeRms(const Bf16* actual, const double* expected, size_t n);
/// max |a - b|, infinities equal to themselves.
double LargestError(const float* actual, const double* expected, size_t n);
/// 0 when every byte is equal, else the number of differing bytes.
inline double DifferentBytes(const void* a, const void* b, size_t n) {
  size_t different = 0;
  for (size_t i = 0; i < n; i++)
    different += static_cast<const unsigned char*>(a)[i] != static_cast<const unsigned char*>(b)[i];
  return static_cast<double>(different);
}

struct Case {
  std::string op;
  Isa isa = Isa::kScalar;
  std::string params;
  uint64_t seed = 0;
};

class Report {
 public:
  /// ok when error <= bound (NaN is not) and the guards are whole.
  void Check(const Case& c, double error, double bound, bool guards_intact = true);
  /// A case that cannot run here; the reason is printed and counted.
  void Skip(const Case& c, const std::string& reason);
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;  ///< one JSON object each: op, isa, params, seed, status, error, bound, guards, reason
};

using Suite = void (*)(Report&);
struct Registration {
  Registration(const char* op, Suite suite);
};
/// Registers a suite; `parity(filter)` runs those whose op contains the filter.
#define WINNOW_PARITY(op, suite) static const ::winnow::parity::Registration winnow_parity_##op(#op, suite)

std::vector<std::string> RunSuites(const std::string& filter);

}  // namespace winnow::parity
