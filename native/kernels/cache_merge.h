/// Merges slots of a cache into other slots of the same head: a sparse map of weighted entries from -> into.
///
/// A target weighs its count c before the merge; entry i brings weight w_i. With W = c + sum w_i over the target's entries:
///   keys    none       stay
///           mean       k <- (c k + sum w_i k_i) / W
///           direction  mean of the norms times the unit vector of the mean of the directions, both weighted as above (EMS)
///   values  mean       v <- (c v + sum w_i v_i) / W
///           add        v <- v + sum w_i v_i
///   counts  of the sources are added to the target and become 0; a source with several entries gives its count to the first
///           one of weight above 0
///   bias    none       stays; log-count: ln of the new count, so that a slot weighs in a softmax as often as it stands for tokens
/// Entries of weight 0 or target -1 give nothing, and their source counts no more (a class of what is dropped). The sources
/// themselves stay in the cache until `Keep` drops them. Targets keep their positions.
///
/// Shapes    from, into  [H][stride]  int32, the first lens[h] of each head; `from` does not descend and may repeat
///           weight      [H][stride]  f32, finite, not negative
/// Limits    no slot is a source and a target of one call; lens -1 is 0
/// Error     f32 relative RMS 1e-6 against fp64; bf16 caches 2^-8. The same bits on every instruction set
/// Cost      reads each entry's slot once; pages of targets become private element pages
/// Returns   Status; a wrong argument changes nothing
/// Source    CaM (values, one into many), D2O and KVMerger (weighted means), EMS (direction), Chelsea (log-count)
#pragma once

#include <cstdint>

#include "isa.h"

namespace winnow {

enum class MergeKeys : int32_t { kNone, kMean, kDirection };
enum class MergeValues : int32_t { kMean, kAdd };
enum class MergeBias : int32_t { kNone, kLogCount };

struct MergeParams {
  int32_t layer;
  const int32_t* from;
  const int32_t* into;
  const float* weight;
  int64_t stride;
  const int32_t* lens;
  MergeKeys keys;
  MergeValues values;
  MergeBias bias;
};

struct MergeKernels {
  /// sum += w * x
  void (*add)(const float* x, float w, int32_t n, float* sum);
  /// x *= w
  void (*scale)(float* x, float w, int32_t n);
  float (*norm)(const float* x, int32_t n);
};
WINNOW_DECLARE_KERNELS(MergeKernels);

/// One target with its entries in fp64: rows [count][dim], weights [count]; `own` and its weight are row 0.
void MergeMeanReference(const double* rows, const double* weights, int32_t count, int32_t dim, double* out);
void MergeDirectionReference(const double* rows, const double* weights, int32_t count, int32_t dim, double* out);

}  // namespace winnow
