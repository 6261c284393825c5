/// Test support: seeded inputs, guarded device buffers, the case table.
#ifndef WINNOW_CUDA_TEST_SUPPORT_H
#define WINNOW_CUDA_TEST_SUPPORT_H

#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reference.h"

namespace winnow::test {

/// Counter-based, so that any language can make the same inputs: value i of stream `seed`.
inline uint32_t hash_word(uint32_t seed, uint64_t i) {
  uint64_t x = i * 0x9e3779b97f4a7c15ull + (static_cast<uint64_t>(seed) + 1) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return static_cast<uint32_t>((x ^ (x >> 31)) >> 16);
}
inline double uniform(uint32_t seed, uint64_t i) { return hash_word(seed, i) / 4294967296.0; }
/// Near enough to a standard normal: twelve uniforms less six.
inline double normal(uint32_t seed, uint64_t i) {
  double sum = -6;
  for (int j = 0; j < 12; j++) sum += uniform(seed, 12 * i + j);
  return sum;
}

struct Outcome {
  std::string status = "ok";  ///< ok, incorrect, failed, unsupported
  std::string detail;
  double error = 0, bound = 0, lse_error = 0;
  void fail(const std::string& why) {
    if (status == "ok" || status == "incorrect") status = "failed";
    detail += (detail.empty() ? "" : "; ") + why;
  }
};

struct Case {
  std::string op, name;
  std::function<void(Outcome&)> run;
};
using Cases = std::vector<Case>;
void add_any_cases(Cases& cases);
void add_cluster_cases(Cases& cases);
void add_sets_cases(Cases& cases);
void add_column_cases(Cases& cases);
void add_cache_cases(Cases& cases);
void add_edit_cases(Cases& cases);
void add_packed_cases(Cases& cases);
void add_prefill_cases(Cases& cases);
void add_decode_cases(Cases& cases);
void add_score_cases(Cases& cases);
void add_slot_score_cases(Cases& cases);
void add_layer_cases(Cases& cases);
void add_linear_cases(Cases& cases);
void add_list_cases(Cases& cases);

/// Bytes of device memory that a case may hold, 0 for any number; one that asks for more ends with CaseTooLarge.
extern size_t memory_limit;
struct CaseTooLarge {};

/// Device memory of one case, each buffer between guards of NaN patterns that must survive.
class Device {
 public:
  explicit Device(Outcome& outcome) : outcome_(outcome) {}
  ~Device() {
    for (auto& block : blocks_) cudaFree(block.base);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  template <typename T>
  T* upload(const std::vector<T>& host) {
    T* data = static_cast<T*>(allocate(host.size() * sizeof(T)));
    if (data) check(cudaMemcpy(data, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
    return data;
  }
  /// Memory filled with 0xff bytes: NaN as any float, so an unwritten output shows.
  template <typename T>
  T* poisoned(size_t count) {
    return static_cast<T*>(allocate(count * sizeof(T)));
  }
  template <typename T>
  T* zeroed(size_t count) {
    T* data = static_cast<T*>(allocate(count * sizeof(T)));
    if (data) check(cudaMemset(data, 0, count * sizeof(T)), "zero");
    return data;
  }
  template <typename T>
  std::vector<T> download(const T* data, size_t count) {
    std::vector<T> host(count);
    check(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "download");
    return host;
  }
  /// The same for elements of a type WN_*, and such elements as doubles.
  void* poisoned_elements(int type, size_t count) { return allocate(count * (type == WN_BF16 ? 2 : 4)); }
  std::vector<double> elements(int type, const void* data, size_t count) {
    if (type == WN_BF16) return widen_all(download(static_cast<const uint16_t*>(data), count));
    if (type == WN_F32) return widen_all(download(static_cast<const float*>(data), count));
    return widen_all(download(static_cast<const int32_t*>(data), count));
  }
  void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) outcome_.fail(std::string(what) + ": " + cudaGetErrorName(error));
  }
  /// Status of the call, then of the device.
  bool finish(const WnStatus& status) {
    if (status.code == WN_UNSUPPORTED) {
      outcome_.status = "unsupported";
      outcome_.detail = status.message;
      return false;
    }
    if (status.code != WN_OK) outcome_.fail(status.message);
    check(cudaDeviceSynchronize(), "synchronise");
    check_guards();
    return outcome_.status == "ok";
  }

 private:
  static std::vector<double> widen_all(const std::vector<uint16_t>& words) {
    std::vector<double> wide(words.size());
    for (size_t i = 0; i < words.size(); i++) wide[i] = bf16_value(words.data(), i);
    return wide;
  }
  template <typename T>
  static std::vector<double> widen_all(const std::vector<T>& values) {
    return {values.begin(), values.end()};
  }
  static constexpr size_t kGuard = 4096;
  struct Block {
    char* base;
    size_t bytes;
  };
  void* allocate(size_t bytes) {
    held_ += bytes;
    if (memory_limit > 0 && held_ > memory_limit) throw CaseTooLarge();
    const size_t rounded = (bytes + 15) / 16 * 16;  // the guard begins right behind the last whole word
    void* memory = nullptr;
    check(cudaMalloc(&memory, rounded + 2 * kGuard), "allocate");
    if (!memory) return nullptr;
    char* base = static_cast<char*>(memory);
    check(cudaMemset(base, 0xff, rounded + 2 * kGuard), "poison");
    blocks_.push_back({base, bytes});
    return base + kGuard;
  }
  void check_guards() {
    std::vector<unsigned char> guard(kGuard);
    for (auto& block : blocks_)
      for (const char* at : {block.base, block.base + kGuard + block.bytes}) {
        if (cudaMemcpy(guard.data(), at, kGuard, cudaMemcpyDeviceToHost) != cudaSuccess) return;
        for (unsigned char byte : guard)
          if (byte != 0xff) {
            outcome_.fail("guard word overwritten");
            return;
          }
      }
  }
  Outcome& outcome_;
  std::vector<Block> blocks_;
  size_t held_ = 0;
};

inline std::vector<uint16_t> normal_bf16(uint32_t seed, size_t count, double scale = 1) {
  std::vector<uint16_t> values(count);
  for (size_t i = 0; i < count; i++) values[i] = to_bf16(normal(seed, i) * scale);
  return values;
}
inline std::vector<float> normal_f32(uint32_t seed, size_t count, double scale = 1) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; i++) values[i] = static_cast<float>(normal(seed, i) * scale);
  return values;
}
inline std::vector<double> widen(const std::vector<uint16_t>& values) {
  std::vector<double> wide(values.size());
  for (size_t i = 0; i < values.size(); i++) wide[i] = bf16_value(values.data(), i);
  return wide;
}
inline std::vector<double> widen(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// ‖got - want‖ / ‖want‖ against a bound; NaN never passes.
void compare(Outcome& outcome, const std::vector<double>& got, const std::vector<double>& want, double bound);
/// Largest absolute difference; both -inf counts as equal.
void compare_lse(Outcome& outcome, const std::vector<float>& got, const std::vector<double>& want, double bound);
/// As compare; -inf ("no slot") must stand at the same places.
void compare_scores(Outcome& outcome, const std::vector<float>& got, const std::vector<double>& want, double bound);
template <typename T>
void compare_exact(Outcome& outcome, const std::vector<T>& got, const std::vector<T>& want, const char* what) {
  if (got.size() == want.size() && std::memcmp(got.data(), want.data(), got.size() * sizeof(T)) == 0) return;
  size_t i = 0;
  while (i < got.size() && std::memcmp(&got[i], &want[i], sizeof(T)) == 0) i++;
  outcome.status = "incorrect";
  outcome.detail += std::string(what) + " differs first at " + std::to_string(i);
}

/// A paged cache on the host: pages in shuffled order, everything not asked for filled with huge finite values, so
/// that reading a neighbour shows without being a NaN.
struct PagedCache {
  int num_pages = 0, stride = 0, head_dim = 0;
  std::vector<uint16_t> pages;
  std::vector<int32_t> table;
  PagedCache(uint32_t seed, const std::vector<int32_t>& lens, int head_dim, int spare_pages = 3);
};

}  // namespace winnow::test

#endif
