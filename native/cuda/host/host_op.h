#pragma once

#include <cstddef>
#include <vector>

#include "../kernels/reference.h"

/// The wn_* entry points of the host build: each is its naive reference, the doubles rounded to the type of the output.
/// Params are taken as valid, as the references take them; `stream` means nothing.
namespace winnow {

/// Whether the ops that take a step's time are left out, their outputs as they were: what remains is the host's own work.
extern bool leaves_out_ops;

inline void round_to(uint16_t* out, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); i++) out[i] = to_bf16(values[i]);
}
inline void round_to(int32_t* out, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); i++) out[i] = static_cast<int32_t>(values[i]);
}
inline void round_to(float* out, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); i++) out[i] = static_cast<float>(values[i]);
}

}  // namespace winnow
