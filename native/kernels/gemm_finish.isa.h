#pragma once

#include "gemm.h"
#include "numerics.h"

/// What every product does with 16 finished sums of one row. For files compiled per instruction set.
namespace winnow::WINNOW_ISA {
namespace {

template <class T>
inline void Finish(const Epilogue& e, int64_t row, int group, Lanes sum, T* out) {
  int columns = e.width - group * kLanes;
  if (columns >= kLanes) {
    T* at = out + row * e.stride + group * kLanes;
    if constexpr (sizeof(T) == 4) {
      if (e.accumulate) sum = Add(Load(at), sum);
    }
    if (e.bias != nullptr) sum = Add(sum, Load(e.bias + group * kLanes));
    if constexpr (sizeof(T) == 4) Store(at, sum); else StoreBf16(at, sum);
    return;
  }
  T* at = out + row * e.stride + group * kLanes;
  if constexpr (sizeof(T) == 4) {
    if (e.accumulate) sum = Add(LoadPartial(at, columns), sum);
  }
  if (e.bias != nullptr) sum = Add(sum, LoadPartial(e.bias + group * kLanes, columns));
  if constexpr (sizeof(T) == 4) StorePartial(at, sum, columns); else StoreBf16Partial(at, sum, columns);
}

inline void Finish(const Epilogue& e, int64_t row, int group, Lanes sum) {
  if (e.type == DType::kF32) {
    Finish(e, row, group, sum, static_cast<float*>(e.out));
  } else {
    Finish(e, row, group, sum, static_cast<Bf16*>(e.out));
  }
}

}  // namespace
}  // namespace winnow::WINNOW_ISA
