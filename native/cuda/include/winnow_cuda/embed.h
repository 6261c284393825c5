#ifndef WINNOW_CUDA_EMBED_H
#define WINNOW_CUDA_EMBED_H

#include "status.h"

typedef struct WnEmbedParams {
  const void* weight;
  const int32_t* ids;
  float* out;
  int64_t num_tokens;
  int32_t vocab_size, width;
  float scale;
} WnEmbedParams;

/// out[t] = scale * weight[ids[t]].
///
/// Shapes    weight  [vocab_size, width]  bf16, 16-byte aligned
///           ids     [num_tokens]  int32
///           out     [num_tokens, width]  f32
/// Limits    width a multiple of 8; an id outside [0, vocab_size) gives NaN: it cannot be refused without a host read
/// Error     one rounding to f32
/// Cost      6 bytes moved per element; asynchronous on `stream`
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_embed(const WnEmbedParams* params, void* stream);

#endif
