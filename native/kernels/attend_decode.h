#pragma once

#include "attend_tile.h"
#include "isa.h"
#include "status.h"

namespace winnow {

enum class Scope : int32_t { kAll = 0, kRow = 1, kKvHead = 2, kQueryHead = 3 };

struct AttendDecodeParams {
  const Cache* const* caches;
  int32_t rows;
  int32_t layer;
  int32_t num_query_heads;
  int32_t query_len;
  const void* q;
  float softmax_scale;
  float soft_cap;
  int32_t sliding_window;
  Scope scope;
  const int32_t* indices;
  const int32_t* lens;
  int32_t max_len;    ///< entries of one list of `indices`
  int32_t page_size;  ///< 0: indices are slots
  void* out;
  float* lse;
  float* probs;
  int64_t max_slots;  ///< entries of one list of `probs`
};

/// Attention of query_len new queries of each row over chosen slots of its cache, for decode steps and question tokens.
///
///   out[r, t, h] = softmax(softmax_scale * q[r, t, h] . K[S]^T + bias[S]) . V[S],  S = listed slots below n - query_len and
///   the new slots n - query_len .. n - query_len + t
///
/// Shapes    q        [rows * query_len, num_query_heads * head_dim]    element type of the caches
///           indices  [rows, S, max_len]  int32, ascending; S = 1 (kRow), num_kv_heads, num_query_heads; null for kAll
///           lens     [rows, S]           int32; -1 all slots, 0 nothing at all, not even the new slots: out 0, lse -inf
///           out      [rows * query_len, num_query_heads * head_dim_v]  element type of the caches; must not alias q
///           lse      [rows * query_len, num_query_heads]               f32, natural log; null = not wanted
///           probs    [rows, num_query_heads, max_slots]                f32, by slot, 0 where not read, -inf
///                    beyond a head's length; query_len 1; or null
/// Limits    indices in [0, n), or pages in [0, ceil(n / page_size)); max_slots >= every n
/// Error     f32 relative RMS <= 2e-6, bf16 <= 6e-3 against fp64; slots that are not listed are never read
/// Numerics  a row's bits depend neither on the other rows, nor on query_len, nor on threads; a list of all slots gives the
///           bits of kAll; f32: the same on every instruction set
/// Cost      reads each listed key and value once per list (with kQueryHead once per query head); blocks of 512 slots whose
///           pages consecutive rows share are read once for up to 48 queries of theirs
Status AttendDecode(const Context& context, const AttendDecodeParams& params);

/// The same in fp64: out [rows * query_len, num_query_heads * head_dim_v], lse, probs (may be null).
void AttendDecodeRef(const AttendDecodeParams& params, double* out, double* lse, double* probs);

}  // namespace winnow
