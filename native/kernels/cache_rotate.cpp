#include "cache_rotate.h"

#include <algorithm>
#include <cstdlib>

#include "cache.h"
#include "pool.h"
#include "rope.h"

namespace winnow {
namespace {

/// Row |delta| of the table, with the sign of delta and without the table's own scale.
void AnglesOf(const RotateParams& p, int32_t delta, float* out) {
  const int32_t half = p.rope_dims / 2;
  const float* row = p.cos_sin + static_cast<int64_t>(std::abs(delta)) * p.rope_dims;
  for (int32_t i = 0; i < half; i++) {
    const float scale = p.cos_sin[i];
    const float sine = row[half + i];
    out[i] = scale == 1.0f ? row[i] : row[i] / scale;
    out[half + i] = (delta < 0 ? -sine : sine) / scale;
  }
}

}  // namespace

Status Cache::Rotate(const Context& context, const RotateParams& p) {
  const LayerGeometry& shape = geometry(p.layer);
  WINNOW_TRY(CheckSlots("cacheRotate", p.layer, p.slots, p.stride, p.lens));
  if (p.cos_sin != nullptr && (p.rope_dims < 2 || p.rope_dims % 2 != 0 || p.rope_dims > shape.head_dim || p.max_positions < 1)) {
    return Status::Shape("cacheRotate.cosSin", "an even number of rotary channels up to " + std::to_string(shape.head_dim),
                         std::to_string(p.rope_dims));
  }
  const auto count_of = [&](int32_t h) { return p.lens[h] < 0 ? head(p.layer, h).len : p.lens[h]; };
  const auto slot_of = [&](int32_t h, int32_t i) { return p.lens[h] < 0 ? i : p.slots[h * p.stride + i]; };
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    if (count_of(h) > p.stride) return Status::Shape("cacheRotate.delta", std::to_string(count_of(h)) + " entries", std::to_string(p.stride));
    for (int32_t i = 0; i < count_of(h); i++) {
      const int32_t delta = p.delta[h * p.stride + i];
      const int32_t slot = slot_of(h, i);
      const int64_t position = head(p.layer, h).pages[slot / kPageSize]->positions[slot % kPageSize];
      const bool fits = p.cos_sin == nullptr || std::abs(int64_t{delta}) < p.max_positions;
      if (!fits || position + delta < 0 || position + delta > INT32_MAX) {
        return Status::Shape("cacheRotate.delta", "a move to a position of 0 or more by less than " + std::to_string(p.max_positions),
                             std::to_string(position) + " by " + std::to_string(delta));
      }
    }
  }
  const RopeKernels& kernels = Kernels<RopeKernels>(context.isa);
  Pool::Instance().ParallelFor(shape.num_kv_heads, [&](int64_t task) {
    const auto h = static_cast<int32_t>(task);
    HeadCache& head = heads_[shape.first_head + h];
    float angles[256];
    int32_t last = 0;
    for (int32_t i = 0; i < count_of(h); i++) {
      const int32_t delta = p.delta[h * p.stride + i];
      if (delta == 0) continue;
      const int32_t slot = slot_of(h, i);
      Page& page = OwnPage(head, slot / kPageSize, p.cos_sin != nullptr);
      page.positions[slot % kPageSize] += delta;
      if (p.cos_sin == nullptr) continue;
      if (delta != last) AnglesOf(p, delta, angles);
      last = delta;
      const bool is_bf16 = page.element == DType::kBf16;
      uint8_t* key = page.planes[0].data + static_cast<size_t>(slot % kPageSize) * shape.head_dim * SizeOf(page.element);
      kernels.head(key, is_bf16, nullptr, 0.0f, angles, p.rope_dims, shape.head_dim, key, is_bf16);
    }
  });
  return Status();
}

}  // namespace winnow
