/// Which slots single queries see, as bits: the part of attend_sets that knows what each kind of set means.
#ifndef WINNOW_CUDA_KEY_SETS_CUH
#define WINNOW_CUDA_KEY_SETS_CUH

#include "device.cuh"
#include "winnow_cuda/attend_sets.h"

namespace winnow {

constexpr int kMaxPlanes = 3, kMaxPlanSlots = 1 << 20;
/// More packed queries than this fill the device without splits.
constexpr int kMaxSplitQueries = 256;
/// Flags in the first word of a list: it names everything, or the new slots too.
constexpr uint32_t kListsAll = 1, kListsNew = 2;

/// Bits of listed slots, one row of words a list and query block.
struct KeyPlane {
  int64_t at;  ///< in words of the workspace
  int32_t query_block, blocks;
};

struct KeySetsArgs {
  WnAttendSetsParams p;
  uint32_t* words;
  KeyPlane planes[kMaxPlanes];
  /// Where diagonals (backwards: bit top - d is distance d), listed queries, ancestors and the bias by slot begin; -1: none.
  int64_t diagonals, queries, ancestors, bias_by_slot;
  int64_t num_words;
  int32_t num_planes, lists, slot_words, query_words;
  int32_t sink, recent, names_all;
  int32_t pack;  ///< query heads that share their sets
  bool is_planned;  ///< Hopper's kernel reads all of the union, by a plan (key_plan.cuh)
  WN_HD int32_t plane_stride() const { return slot_words + 1; }
  WN_HD int32_t diagonal_stride() const { return slot_words + 9; }
  WN_HD int32_t top() const { return slot_words * 32 - 1; }
};

/// Bits of the slots [begin, end) among s .. s + 31.
WN_DEVICE uint32_t range_word(int s, int begin, int end) {
  const int low = max(max(begin, 0) - s, 0), high = min(end - s, 32);
  return low < high ? (~0u >> (32 - high)) & (~0u << low) : 0;
}
/// 32 bits from bit `at` on.
WN_DEVICE uint32_t bits_from(const uint32_t* words, int64_t at) {
  const int shift = static_cast<int>(at & 31);
  const uint32_t* word = words + (at >> 5);
  return shift ? word[0] >> shift | word[1] << (32 - shift) : word[0];
}
/// Bit c of the result: whether any of the bits c .. c + count - 1 of a window of 128 bits is set; count at most 64.
WN_DEVICE uint32_t any_of_next(uint64_t low, uint64_t high, int count) {
  int done = 1;
#pragma unroll 1
  while (done < count) {
    const int shift = min(done, count - done);  // at most 32
    low |= low >> shift | high << (64 - shift);
    high |= high >> shift;
    done += shift;
  }
  return static_cast<uint32_t>(low);
}

/// One row and group of query heads.
struct KeyPlace {
  const int32_t* table;
  int64_t list;
  int row, head, kv_head, n, first_new;
};
WN_DEVICE KeyPlace key_place(const KeySetsArgs& a, int group) {
  const WnAttendSetsParams& p = a.p;
  const int groups = p.num_query_heads / a.pack;
  KeyPlace at;
  at.row = group / groups;
  at.head = group % groups * a.pack;
  at.kv_head = at.head / (p.num_query_heads / p.cache.num_kv_heads);
  const int64_t segment = static_cast<int64_t>(at.row) * p.cache.num_kv_heads + at.kv_head;
  at.table = p.cache.page_table + segment * p.cache.page_table_stride;
  at.n = p.cache.kv_lens[segment];
  at.first_new = p.visible == WN_VISIBLE_EVERY ? at.n : at.n - p.query_len;
  at.list = a.lists == 1 ? at.row : a.lists == p.cache.num_kv_heads ? segment : static_cast<int64_t>(at.row) * p.num_query_heads + at.head;
  return at;
}

/// The keys of such a place. Made where it is used: a kernel that keeps the place in shared memory has its registers free
/// for products meanwhile.
struct KeyReader : KeyPlace {
  const KeySetsArgs& a;
  const WnAttendSetsParams& p;

  WN_DEVICE KeyReader(const KeySetsArgs& args, const KeyPlace& place) : KeyPlace(place), a(args), p(args.p) {}
  WN_DEVICE bool attends_head(int query_head) const { return p.heads[query_head / 32] >> (query_head % 32) & 1; }
  WN_DEVICE int active_heads() const {
    int count = 0;
#pragma unroll 1
    for (int h = head; h < head + a.pack; h++) count += attends_head(h);
    return count;
  }
  /// Runs of neighbouring heads that attend: each reads the list once.
  WN_DEVICE int runs() const {
    int count = 0;
#pragma unroll 1
    for (int h = head; h < head + a.pack; h++) count += attends_head(h) && (h == head || !attends_head(h - 1));
    return count;
  }
  WN_DEVICE bool attends(int token) const {
    return a.queries < 0 || (a.words[a.queries + list * a.query_words + token / 32] >> (token % 32) & 1);
  }
  /// Arena slot, negative where the page was given back.
  WN_DEVICE int arena(int slot) const {
    const int page = table[slot / WN_PAGE_SIZE];
    return page < 0 ? -1 : page * WN_PAGE_SIZE + slot % WN_PAGE_SIZE;
  }
  WN_DEVICE int position(int slot) const {
    const int at = arena(slot);
    return at < 0 ? INT32_MIN : p.cache.positions[at];
  }
  /// Slot whose place a token has: its own, or the last where queries have none.
  WN_DEVICE int own_slot(int token) const { return min(first_new + token, n - 1); }
  WN_DEVICE int segment_of(int slot) const {
    const int at = position(slot);
    return at >= 0 && at < p.num_segments ? p.segments[at] : -1;
  }
  /// Slots from here on are hidden from a token.
  WN_DEVICE int end_of(int token) const {
    if (p.old_only) return first_new;
    return p.visible == WN_VISIBLE_CAUSAL || p.visible == WN_VISIBLE_SEGMENTS ? first_new + token + 1 : n;
  }

  /// What the lists of query blocks first .. last name among slots s .. s + 31, s a multiple of 32.
  WN_DEVICE uint32_t listed(int first_token, int last_token, int s) const {
    uint32_t bits = a.names_all ? ~0u : range_word(s, 0, a.sink);
#pragma unroll 1
    for (int i = 0; i < a.num_planes; i++) {
      const KeyPlane& plane = a.planes[i];
      const int first = plane.query_block ? first_token / plane.query_block : 0;
      const int last = plane.query_block ? last_token / plane.query_block : 0;
#pragma unroll 1
      for (int block = first; block <= last; block++) {
        const uint32_t* words = a.words + plane.at + (list * plane.blocks + block) * a.plane_stride();
        const uint32_t flags = words[0];
        bits |= flags & kListsAll ? ~0u : words[1 + s / 32];
        if (flags & kListsNew) bits |= range_word(s, first_new, n);
      }
    }
    return bits;
  }
  WN_DEVICE const uint32_t* diagonal_words() const { return a.words + a.diagonals + list * a.diagonal_stride(); }

  /// Slots s .. s + 31 that a token sees, but for a sliding window.
  WN_DEVICE uint32_t word(int token, int s) const {
    const int own = first_new + token;
    if (s >= n || table[s / WN_PAGE_SIZE] < 0 || !attends(token)) return 0;
    uint32_t bits = listed(token, token, s);
    if (a.recent > 0) bits |= range_word(s, own - a.recent + 1, own + 1);
    if (a.diagonals >= 0 && s <= own && own <= a.top()) {
      const uint32_t* words = diagonal_words();
      bits |= words[0] & kListsAll ? range_word(s, 0, own + 1) : bits_from(words + 1, a.top() - own + s);
    }
    bits &= range_word(s, 0, min(end_of(token), n));
    if (p.visible == WN_VISIBLE_TREE && !p.old_only && s + 31 >= first_new) {
      const uint32_t* path = a.words + a.ancestors + (static_cast<int64_t>(row) * p.query_len + token) * (a.query_words + 1);
      const int ahead = s - first_new;
      bits &= range_word(s, 0, first_new) | (ahead >= 0 ? bits_from(path, ahead) : path[0] << -ahead);
    }
    if (p.visible == WN_VISIBLE_SEGMENTS && bits) {
      const int wanted = segment_of(own);
#pragma unroll 1
      for (uint32_t left = wanted < 0 ? 0 : bits; left; left &= left - 1) {
        const int slot = s + __ffs(static_cast<int>(left)) - 1, segment = segment_of(slot);
        if (segment >= 0 && segment != wanted) bits &= ~(1u << (slot - s));
      }
    }
    return bits;
  }
  /// At least the slots s .. s + 31 that tokens first .. last see: at most 64 of them; exactly them for one token.
  WN_DEVICE uint32_t any(int first_token, int last_token, int s) const {
    if (s >= n || table[s / WN_PAGE_SIZE] < 0) return 0;
    if (first_token == last_token) return word(first_token, s);
    const int first_own = first_new + first_token, last_own = first_new + last_token;
    uint32_t bits = listed(first_token, last_token, s);
    if (a.recent > 0) bits |= range_word(s, first_own - a.recent + 1, last_own + 1);
    if (a.diagonals >= 0 && s <= last_own && last_own <= a.top()) {
      const uint32_t* words = diagonal_words();
      const int64_t at = a.top() - last_own + s;
      auto pair = [&](int64_t bit) {
        return bits_from(words + 1, bit) | static_cast<uint64_t>(bits_from(words + 1, bit + 32)) << 32;
      };
      bits |= words[0] & kListsAll ? range_word(s, 0, last_own + 1)
                                   : any_of_next(pair(at), pair(at + 64), last_token - first_token + 1);
    }
    return bits & range_word(s, 0, min(end_of(last_token), n));
  }
};

/// Lays out the workspace's words and what all sets say together; false: sets of too many query blocks.
bool plan_key_sets(const WnAttendSetsParams& p, KeySetsArgs* a);
/// Fills the words; counts pairs, entries and slots, but for a plan.
WnStatus launch_key_sets(const KeySetsArgs& a, cudaStream_t stream);

}  // namespace winnow

#endif
