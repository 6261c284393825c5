#include "plan_mix.h"

#include <algorithm>
#include <cstring>

#include "numerics.h"
#include "pool.h"

namespace winnow {

Status ScaleRows(const Tensor& x, const float* factor, int64_t rows, int64_t width, const Tensor& out) {
  Pool::Instance().ParallelRanges(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      for (int64_t c = i * width; c < (i + 1) * width; c++) {
        const float value = (x.dtype == DType::kBf16 ? FromBf16(x.as<Bf16>()[c]) : x.as<float>()[c]) * factor[i];
        if (out.dtype == DType::kBf16) out.as<Bf16>()[c] = ToBf16(value);
        else out.as<float>()[c] = value;
      }
    }
  });
  return Status();
}

Status MixParts(const float* outs, const float* gates, int64_t parts, int64_t rows, int64_t width, float* out) {
  Pool::Instance().ParallelRanges(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      std::fill(out + i * width, out + (i + 1) * width, 0.0f);
      for (int64_t part = 0; part < parts; part++) {
        const float gate = gates[i * parts + part];
        const float* from = outs + (part * rows + i) * width;
        for (int64_t c = 0; gate != 0.0f && c < width; c++) out[i * width + c] += gate * from[c];
      }
    }
  });
  return Status();
}

Status ChooseRows(const Tensor& predicate, const Tensor& yes, const Tensor& no, const Tensor& out) {
  const int64_t rows = out.dim(0);
  const int64_t width = out.dim(2);
  const auto size = static_cast<int64_t>(SizeOf(out.dtype));
  // All bits set is -1 in i32.
  std::memset(out.data, out.dtype == DType::kI32 ? 0xff : 0, out.bytes());
  for (int64_t r = 0; r < rows; r++) {
    const bool is_yes = predicate.dtype == DType::kI32 ? predicate.as<int32_t>()[r] > 0 : predicate.as<float>()[r] > 0.0f;
    const Tensor& from = is_yes ? yes : no;
    for (int64_t l = 0; l < out.dim(1); l++) {
      const int64_t line = r * out.dim(1) + l;
      std::memcpy(out.data + line * width * size, from.data + line * from.dim(2) * size, static_cast<size_t>(from.dim(2) * size));
    }
  }
  return Status();
}

}  // namespace winnow
