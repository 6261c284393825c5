#pragma once

#include "caches.h"

namespace winnow::gpu {

/// One query token a row over all slots of caches with packed pages, straight from their codes. False, and nothing is done, where
/// no page is packed or the kernel does not read what there is: then packed pages are unpacked for the op.
bool DecodePacked(Call& call, const CacheList& list, const Tensor& q, int32_t heads, float scale, const Tensor& out, float* lse);

}  // namespace winnow::gpu
