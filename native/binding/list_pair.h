#pragma once

#include "../kernels/top_k.h"
#include "call.h"

namespace winnow {

/// [indices i32 [rows, lists, maxLen] padded with -1, lens i32 [rows, lists]] from lists one behind the other.
napi_value ListPair(Call& call, int64_t rows, int64_t lists, const TopKResult& result);

}  // namespace winnow
