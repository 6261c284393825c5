#pragma once

#include <cstdint>

#include "isa.h"
#include "status.h"

namespace winnow {

struct CopyParams {
  const void* src;
  DType src_type;
  void* dst;
  DType dst_type;
  int64_t count;
};

/// Copies `count` values, converting between f32 and bf16 (to nearest even).
///
/// Shapes    src, dst  [count]; equal dtypes may overlap
/// Limits    dtypes equal, or f32 and bf16
/// Error     exact but for the one rounding to bf16
/// Cost      reads and writes each value once; no allocation
/// Returns   Status; other dtype pairs are kShape
Status CopyValues(const Context& context, const CopyParams& params);

}  // namespace winnow
