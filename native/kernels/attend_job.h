/// What one call of attention says about its queries and the entries that they read.
///
/// A job is the queries of some heads of one row that read one list; its rows are head-major (head, token).
#pragma once

#include <cstdint>

#include "attend_block.h"
#include "cache.h"

namespace winnow {

/// Entries in ascending slot order: `kept` listed ones, all below first_new, then the slots [first_new, first_new + num_new).
struct EntryList {
  const HeadCache* head = nullptr;
  /// Slots, or pages of page_size slots; null lists the slots 0 to kept - 1.
  const int32_t* indices = nullptr;
  int32_t page_size = 0;
  int32_t kept = 0;
  int32_t first_new = 0;
  int32_t num_new = 0;
  /// Entries from `entry` on that lie one behind the other in one page of the cache, at most `most`; at least 1.
  int32_t RunAt(int32_t entry, int32_t slot, int32_t most) const {
    if (entry < kept && kept - entry < most) most = kept - entry;
    if (kPageSize - slot % kPageSize < most) most = kPageSize - slot % kPageSize;
    if (indices == nullptr || entry >= kept) return most;
    if (page_size > 0) {
      const int32_t left = page_size - entry % page_size;
      return left < most ? left : most;
    }
    return indices[entry + most - 1] == slot + most - 1 ? most : 1;
  }

  /// Keys of the entries one behind the other, read instead of the pages' (rotated anew); null: the pages'.
  const uint8_t* keys = nullptr;

  int32_t size() const { return kept + num_new; }
  int32_t num_blocks() const { return (size() + kKeyBlock - 1) / kKeyBlock; }
  bool is_dense() const { return indices == nullptr; }
  int32_t SlotOf(int32_t entry) const {
    if (entry >= kept) return first_new + entry - kept;
    if (indices == nullptr) return entry;
    if (page_size == 0) return indices[entry];
    return indices[entry / page_size] * page_size + entry % page_size;
  }
};

/// What single rows of a job see of a block, where a prefix and a hole do not say it.
class RowBias {
 public:
  virtual ~RowBias() = default;
  /// Bias of entries [base, base + 512) for one row in logit units, -inf hides; written into `room` or null when all 0.
  virtual const float* Fill(int32_t head, int32_t token, int32_t base, float* room) const = 0;
};

struct AttendJob {
  const AttendKernels* kernels = nullptr;
  EntryList list;
  DType element = DType::kF32;
  int32_t head_dim = 0;
  int32_t head_dim_v = 0;
  int32_t num_heads = 0;  ///< query heads that read the list
  int32_t query_len = 0;  ///< token t sees entries [0, kept + t]
  /// Head 0, token 0 of the job; strides in elements.
  const uint8_t* q = nullptr;
  int64_t q_token_stride = 0;
  uint8_t* out = nullptr;
  int64_t out_token_stride = 0;
  float* lse = nullptr;
  int64_t lse_token_stride = 0;
  float softmax_scale = 1.0f;
  float soft_cap = 0.0f;
  int32_t sliding_window = 0;
  const int32_t* windows = nullptr;  ///< [num_heads, 2] sink and recent slots, -1 everything; null = everything
  /// [query_len]: entries that a token sees, from the front; null: kept + t + 1.
  const int32_t* visible = nullptr;
  /// [query_len]: slot of each token, for sliding windows; null: first_new + t.
  const int32_t* own_slots = nullptr;
  const RowBias* row_bias = nullptr;
  bool out_f32 = false;              ///< out holds f32 whatever the element type
  float* logits = nullptr;           ///< [num_heads][logits_stride] by slot, query_len 1; null = not wanted
  int64_t logits_stride = 0;

  int32_t value_stride() const { return ValueStride(head_dim_v); }
  /// Entries that a token sees, from the front.
  int32_t VisibleAt(int32_t token) const { return visible == nullptr ? list.kept + token + 1 : visible[token]; }
  int32_t OwnSlot(int32_t token) const { return own_slots == nullptr ? list.first_new + token : own_slots[token]; }
};

/// Reads the slots of a list; quantised ones come back into scratch. Uses Pool::Scratch slot 2 for those.
class RowReader {
 public:
  /// `what` 0 keys, 1 values.
  RowReader(const EntryList& list, int32_t what);

  /// Rows of entries [first, first + count), at most a key block, valid until the next call; false: out of memory.
  bool Read(int32_t first, int32_t count, const void** rows);

 private:
  const void* Dequantise(const Page& page, int32_t slot, int32_t count, int32_t at);

  const EntryList& list_;
  int32_t what_;
  int32_t dim_;
  uint8_t* rows_ = nullptr;
};

/// Packs panel `panel` (entries [64 panel, 64 panel + 64)) of a list's keys (0) or values (1).
/// Uses Pool::Scratch slot 2. False: out of memory.
bool PackPanel(const EntryList& list, const AttendKernels& kernels, int32_t what, int32_t panel, void* out);

}  // namespace winnow
