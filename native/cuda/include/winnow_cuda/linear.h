#ifndef WINNOW_CUDA_LINEAR_H
#define WINNOW_CUDA_LINEAR_H

#include "status.h"

/// WN_LINEAR_CHOOSE takes the step kernel for up to 16 tokens, on Hopper the wide one for up to 64, beyond that cuBLASLt where
/// it is loaded, else the tile kernel. WN_LINEAR_CHOOSE_STEP takes the step kernel, or from 17 tokens on the wide one where the
/// device has it.
enum { WN_LINEAR_CHOOSE = 0, WN_LINEAR_STEP = 1, WN_LINEAR_TILE = 2, WN_LINEAR_BLAS = 3, WN_LINEAR_WIDE = 4, WN_LINEAR_CHOOSE_STEP = 5 };
enum { WN_GATE_NONE = 0, WN_GATE_SILU = 1, WN_GATE_GELU_TANH = 2 };
/// Rows of gate and of up that take turns in a woven matrix.
enum { WN_GATE_WEAVE = 32 };
/// Most columns of a step that norms its row itself.
enum { WN_LINEAR_NORM_COLS = 4096 };

typedef struct WnLinearParams {
  const void* x;
  const void* weight;
  const float* bias;
  void* out;
  void* workspace;
  int64_t workspace_bytes;
  int64_t num_tokens;
  int32_t rows, cols;
  int32_t out_type;    ///< WN_F32 or WN_BF16
  int32_t accumulate;  ///< 1 adds to what `out` (f32) holds
  int32_t gate;        ///< WN_GATE_*
  int32_t path;        ///< WN_LINEAR_*
  const float* norm_x;     ///< not null: x is the RMS norm of this row, and is written
  const float* norm_gain;
  float norm_epsilon, norm_gain_offset;
  int32_t variant;  ///< 0; of the wide path, for tests: how many blocks share a tile of rows, 1, 2, 4 or 8
} WnLinearParams;

/// out (+)= x . weight^T (+ bias), or act(gate) * up of that product where gate and up are woven in groups of 32 rows.
///
///   y[t, r] = sum_c x[t, c] weight[r, c] + bias[r]
///   gate    out[t, 32 j + i] = act(y[t, 64 j + i]) * y[t, 64 j + 32 + i]
///
/// Shapes    x          [num_tokens, cols]  bf16, 16-byte aligned
///           weight     [rows, cols]  bf16, 16-byte aligned
///           bias       [rows]  f32; null = none
///           out        [num_tokens, rows] or, gated, [num_tokens, rows / 2]  f32 or bf16
///           workspace  wn_linear_workspace_bytes, 256-byte aligned, one per stream; null where that is 0
///           norm_x, norm_gain  [cols]  f32, 16-byte aligned: x = norm_x / sqrt(mean(norm_x^2) + norm_epsilon) * (norm_gain +
///                      norm_gain_offset) in bf16, with the bits of wn_rms_norm; gains as there
/// Limits    the wide path: compute capability 9.0, WN_UNSUPPORTED elsewhere
///           a norm: one token, the step path, cols <= WN_LINEAR_NORM_COLS
///           cols a multiple of 8; accumulate only into f32 without a gate; gate: rows a multiple of 64, no bias
/// Error     f32 sums of exact products: relative RMS against the fp64 reference <= 1e-5 (f32 out), 4e-3 (bf16 out)
/// Cost      step, wide: weights read once per 64 tokens; a token's bits are one path's and do not depend on what it shares the
///           call with. The wide path splits the columns by the shape and the device's multiprocessors.
///           Otherwise 2 * num_tokens * rows * cols FLOP; cuBLASLt chooses by shape, so bits depend on num_tokens there
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_linear(const WnLinearParams* params, void* stream);

/// Bytes of workspace for these params: what cuBLASLt may use, and the product before the gate.
WN_API int64_t wn_linear_workspace_bytes(const WnLinearParams* params);

/// Loads cuBLASLt from `path`, or by its usual names where path is null, for every later wn_linear of the process.
/// WN_UNSUPPORTED where there is none: the tile kernel serves then. `version` (host, may be null): its version number.
/// Call once before the first capture of a graph; not thread-safe.
WN_API WnStatus wn_linear_load_blas(const char* path, int64_t* version);

#endif
