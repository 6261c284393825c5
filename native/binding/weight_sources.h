#pragma once

#include <vector>

#include "../kernels/weights.h"
#include "call.h"

/// Bytes of a checkpoint that a call hands over, read and checked as far as shapes go.
namespace winnow {

/// packWeight's list of sources at argument i. The bytes belong to the caller.
std::vector<WeightSource> ReadSources(Call& call, int i);

/// packVector's arguments as one row.
WeightSource ReadVectorSource(Call& call);

}  // namespace winnow
