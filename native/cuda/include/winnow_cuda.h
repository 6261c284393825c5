/// C ABI of libwinnow_cuda.so: one header per operation, `Params` in, `WnStatus` out.
///
/// Every operation is asynchronous on the caller's stream (a cudaStream_t passed as void*; null is the default
/// stream). None allocates, synchronises, prints, throws or exits. Pointers are device pointers unless a line says
/// "host". All sizes are counts of elements unless a name says bytes.
#ifndef WINNOW_CUDA_H
#define WINNOW_CUDA_H

#include "winnow_cuda/argmax.h"
#include "winnow_cuda/attend_sets.h"
#include "winnow_cuda/attention_any.h"
#include "winnow_cuda/attention_probs.h"
#include "winnow_cuda/block_scores.h"
#include "winnow_cuda/block_summary.h"
#include "winnow_cuda/cache_edit.h"
#include "winnow_cuda/cache_insert.h"
#include "winnow_cuda/cache_read.h"
#include "winnow_cuda/cache_view.h"
#include "winnow_cuda/cache_write.h"
#include "winnow_cuda/channel_scores.h"
#include "winnow_cuda/column_stats.h"
#include "winnow_cuda/compact_slots.h"
#include "winnow_cuda/decode_attention.h"
#include "winnow_cuda/decode_packed.h"
#include "winnow_cuda/device.h"
#include "winnow_cuda/elementwise.h"
#include "winnow_cuda/embed.h"
#include "winnow_cuda/gated_activation.h"
#include "winnow_cuda/gather_compact.h"
#include "winnow_cuda/group_means.h"
#include "winnow_cuda/k_means.h"
#include "winnow_cuda/linear.h"
#include "winnow_cuda/list_moves.h"
#include "winnow_cuda/list_values.h"
#include "winnow_cuda/lse_merge.h"
#include "winnow_cuda/page_convert.h"
#include "winnow_cuda/pairwise_cosine.h"
#include "winnow_cuda/plane_scores.h"
#include "winnow_cuda/prefill_attention.h"
#include "winnow_cuda/project.h"
#include "winnow_cuda/quantise_round_trip.h"
#include "winnow_cuda/random_normal.h"
#include "winnow_cuda/random_scores.h"
#include "winnow_cuda/rms_norm.h"
#include "winnow_cuda/rope.h"
#include "winnow_cuda/rope_append.h"
#include "winnow_cuda/slot_norms.h"
#include "winnow_cuda/status.h"
#include "winnow_cuda/top_k.h"
#include "winnow_cuda/top_p.h"
#include "winnow_cuda/window_scores.h"

#endif
