#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../kernels/cache.h"
#include "parity.h"

/// Caches with known contents for the parity tests of attention and scores.
namespace winnow::parity {

struct CacheCase {
  int32_t num_query_heads = 3;
  int32_t num_kv_heads = 1;
  int32_t head_dim = 64;
  int32_t head_dim_v = 64;
  int32_t slots = 100;
  /// Each further KV head holds this many slots fewer.
  int32_t ragged = 0;
  bool has_bias = false;
  /// Bits of keys (along channels) and values (along tokens) of all full pages; 0 = elements.
  int32_t bits = 0;
};

inline std::string Describe(const CacheCase& c) {
  return "Hq=" + std::to_string(c.num_query_heads) + " H=" + std::to_string(c.num_kv_heads) + " d=" +
         std::to_string(c.head_dim) + " dV=" + std::to_string(c.head_dim_v) + " n=" + std::to_string(c.slots) +
         (c.ragged > 0 ? " ragged=" + std::to_string(c.ragged) : "") + (c.has_bias ? " bias" : "") +
         (c.bits > 0 ? " bits=" + std::to_string(c.bits) : "");
}

/// Positions are three apart with a jump after slot 20, as after an eviction.
inline std::unique_ptr<Cache> MakeCache(const CacheCase& c, DType element, uint64_t seed) {
  CacheLayout layout;
  if (!MakeLayout({c.num_kv_heads}, {c.head_dim}, {c.head_dim_v}, element, &layout).ok()) return nullptr;
  auto cache = std::make_unique<Cache>(std::make_shared<const CacheLayout>(layout));
  std::vector<float> keys;
  std::vector<float> values;
  std::vector<int32_t> positions;
  std::vector<float> bias;
  for (int32_t h = 0; h < c.num_kv_heads; h++) {
    for (int32_t s = 0; s < c.slots; s++) {
      const uint64_t at = static_cast<uint64_t>(h) * 100000 + s;
      for (int32_t i = 0; i < c.head_dim; i++) keys.push_back(2 * Noise(seed, 2 * at, i));
      for (int32_t i = 0; i < c.head_dim_v; i++) values.push_back(Noise(seed, 2 * at + 1, i));
      positions.push_back(3 * s + (s > 20 ? 50 : 0));
      bias.push_back(c.has_bias && s % 5 == 2 ? Noise(seed, 77, at) : 0.0f);
    }
  }
  const std::vector<int32_t> counts(positions.size(), 1);
  (void)cache->Append(0, c.slots, keys.data(), values.data(), positions.data(), counts.data(), bias.data());
  if (c.ragged > 0) {
    std::vector<int32_t> slots;
    std::vector<int32_t> lens;
    for (int32_t h = 0; h < c.num_kv_heads; h++) {
      for (int32_t s = 0; s < c.slots; s++) slots.push_back(s);
      lens.push_back(c.slots - h * c.ragged);
    }
    (void)cache->Keep(0, slots.data(), c.slots, lens.data());
  }
  if (c.bits > 0) {
    const auto bits = static_cast<uint8_t>(c.bits);
    (void)cache->Quantise(0, 0, c.slots, {bits, 0, 32});
    (void)cache->Quantise(0, 1, c.slots, {bits, 1, static_cast<int16_t>(c.head_dim_v % 32 == 0 ? 32 : 8)});
  }
  return cache;
}

/// Noise in the element type of a context, between guard words.
class Elements {
 public:
  Elements(size_t count, DType element) : element_(element), f32_(element == DType::kF32 ? count : 0), bf16_(element == DType::kF32 ? 0 : count) {}
  void FillNoise(uint64_t seed, uint64_t stream, float scale = 1) {
    Fill(f32_, seed, stream, scale);
    Fill(bf16_, seed, stream, scale);
  }
  void* data() { return element_ == DType::kF32 ? static_cast<void*>(f32_.data()) : bf16_.data(); }
  size_t bytes() const { return f32_.size() * 4 + bf16_.size() * 2; }
  bool intact() const { return f32_.intact() && bf16_.intact(); }
  double ErrorAgainst(const std::vector<double>& expected) const {
    return element_ == DType::kF32 ? RelativeRms(f32_.data(), expected.data(), expected.size())
                                   : RelativeRms(bf16_.data(), expected.data(), expected.size());
  }

 private:
  DType element_;
  Guarded<float> f32_;
  Guarded<Bf16> bf16_;
};

/// Both numerics of every instruction set of the machine where they differ.
inline std::vector<Context> AllContexts() {
  std::vector<Context> all;
  for (const Isa isa : AvailableIsas()) {
    all.push_back({isa, Numerics::kReference});
    if (Context{isa, Numerics::kNative}.has_bf16()) all.push_back({isa, Numerics::kNative});
  }
  return all;
}
inline std::string NumericsOf(const Context& context) { return context.has_bf16() ? " bf16" : " f32"; }

}  // namespace winnow::parity
