#include "copy_rows.h"

#include <cstring>

#include "numerics.h"
#include "pool.h"

namespace winnow {

Status CopyValues(const Context&, const CopyParams& p) {
  constexpr int64_t kGrain = 1 << 16;  // below 256 KB a hand-over costs more than the copy
  if (p.src_type == p.dst_type) {
    if (p.count > 0) std::memmove(p.dst, p.src, static_cast<size_t>(p.count) * SizeOf(p.src_type));
    return {};
  }
  if (p.src_type == DType::kF32 && p.dst_type == DType::kBf16) {
    auto* src = static_cast<const float*>(p.src);
    auto* dst = static_cast<Bf16*>(p.dst);
    Pool::Instance().ParallelRanges(p.count, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) dst[i] = ToBf16(src[i]);
    });
    return {};
  }
  if (p.src_type == DType::kBf16 && p.dst_type == DType::kF32) {
    auto* src = static_cast<const Bf16*>(p.src);
    auto* dst = static_cast<float*>(p.dst);
    Pool::Instance().ParallelRanges(p.count, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) dst[i] = FromBf16(src[i]);
    });
    return {};
  }
  return Status::Shape("copyRows.dst", std::string(NameOf(p.src_type)) + ", or f32 with bf16", NameOf(p.dst_type));
}

}  // namespace winnow
