#pragma once

#include "call.h"

namespace winnow {

/// Whether argument i is a typed array rather than a number.
inline bool IsArray(const Call& call, int i) {
  bool is_array = false;
  return call.numbers == nullptr && static_cast<size_t>(i) < call.count &&
         napi_is_typedarray(call.env, call.arguments[i], &is_array) == napi_ok && is_array;
}

}  // namespace winnow
