#include "key_sets.cuh"

namespace winnow {
namespace {

/// Lists of a set as bits of the target lists: what a call sends to fill_kernel.
struct FillArgs {
  KeySetsArgs a;
  WnKeyLists lists;
  int64_t at;  ///< in words
  int32_t stride, blocks;
  int32_t unit;        ///< slots of an entry
  int32_t limit;       ///< entries are below it; 0: below the slots of the shortest head that reads the list
  int32_t first_word;  ///< 1 where the first word holds flags
  bool backwards, with_new;
};

WN_DEVICE int* flags_of(const WnAttendSetsParams& p) { return reinterpret_cast<int*>(p.results + 1); }

/// Slots of the shortest head that reads list `l` of a row.
WN_DEVICE int shortest_head(const WnAttendSetsParams& p, int row, int lists, int l) {
  const int heads = p.cache.num_kv_heads;
  int least = INT32_MAX;
  for (int h = 0; h < heads; h++) {
    const int reader = lists == heads ? l : l / (p.num_query_heads / heads);
    if (lists == 1 || h == reader) least = min(least, p.cache.kv_lens[row * heads + h]);
  }
  return least;
}

/// One block a target list and query block.
__global__ void __launch_bounds__(256) fill_kernel(const __grid_constant__ FillArgs f) {
  const WnAttendSetsParams& p = f.a.p;
  const int64_t target = blockIdx.x / f.blocks, block = blockIdx.x % f.blocks;
  const int row = static_cast<int>(target / f.a.lists), list = static_cast<int>(target % f.a.lists);
  const int source = f.lists.per_row == f.a.lists ? list : f.lists.per_row == 1 ? 0 : list / (f.a.lists / f.lists.per_row);
  const int64_t at = (static_cast<int64_t>(row) * f.lists.per_row + source) * f.lists.blocks + block;
  uint32_t* words = f.a.words + f.at + blockIdx.x * static_cast<int64_t>(f.stride);
  int len = f.lists.lens[at];
  if (threadIdx.x == 0) {
    if (len < -1 || len > f.lists.max_len) atomicOr(flags_of(p), WN_SETS_BAD_LIST);
    // Listed queries have no word of flags: all of them are set below.
    if (f.first_word) atomicOr(words, len < 0 ? kListsAll : f.with_new && len > 0 ? kListsNew : 0u);
  }
  if (len < 0 && !f.first_word)
    for (int i = threadIdx.x; i < f.stride; i += blockDim.x) words[i] = ~0u;
  len = min(len, f.lists.max_len);
  const int32_t* values = f.lists.values + at * f.lists.max_len;
  const int slots = f.limit > 0 ? f.limit : shortest_head(p, row, f.lists.per_row, source);
  const int limit = ceil_div(slots, f.unit);
  bool is_good = true;
  for (int i = threadIdx.x; i < len; i += blockDim.x) {
    const int value = values[i];
    is_good = is_good && value >= 0 && value < limit && (i == 0 || value > values[i - 1]);
    if (value < 0 || value >= limit) continue;
    const int begin = value * f.unit, end = f.unit == 1 ? begin + 1 : min(begin + f.unit, f.a.top() + 1);
    if (f.backwards) {
      const int bit = f.a.top() - begin;
      atomicOr(words + f.first_word + bit / 32, 1u << (bit % 32));
      continue;
    }
    for (int s = begin / 32 * 32; s < end; s += 32) atomicOr(words + f.first_word + s / 32, range_word(s, begin, end));
  }
  if (!is_good) atomicOr(flags_of(p), WN_SETS_BAD_LIST);
}

/// Ancestors of each new token and itself.
__global__ void __launch_bounds__(256) ancestors_kernel(const __grid_constant__ KeySetsArgs a) {
  const WnAttendSetsParams& p = a.p;
  const int64_t i = blockIdx.x * 256ll + threadIdx.x;
  if (i >= static_cast<int64_t>(p.cache.rows) * p.query_len) return;
  const int32_t* parents = p.parents + i / p.query_len * p.query_len;
  uint32_t* path = a.words + a.ancestors + i * (a.query_words + 1);
  for (int t = static_cast<int>(i % p.query_len); t >= 0;) {
    path[t / 32] |= 1u << (t % 32);
    const int parent = parents[t];
    if (parent >= t || parent < -1) {
      atomicOr(flags_of(p), WN_SETS_BAD_TREE);
      return;
    }
    t = parent;
  }
}

/// A bias by entry becomes one by slot, [rows, bias_heads, max_slots]. One block a list.
__global__ void __launch_bounds__(256) spread_bias_kernel(const __grid_constant__ KeySetsArgs a) {
  const WnAttendSetsParams& p = a.p;
  const WnKeyLists& lists = p.sets[0].lists;
  const int64_t list = blockIdx.x;
  const int len = min(lists.lens[list], lists.max_len);
  auto* by_slot = reinterpret_cast<float*>(a.words + a.bias_by_slot) + list * p.max_slots;
  for (int i = threadIdx.x; i < len; i += blockDim.x) {
    const int slot = lists.values[list * lists.max_len + i];
    if (slot >= 0 && slot < p.max_slots) by_slot[slot] = p.bias[list * p.bias_width + i];
  }
}

/// A thread has 32 slots of a group of heads and the tokens of its block: all of them where counts or slots are asked for.
__global__ void __launch_bounds__(128) count_kernel(const __grid_constant__ KeySetsArgs a, int tokens_per_block) {
  const KeyReader keys(a, key_place(a, blockIdx.y));
  const int s = (blockIdx.x * 128 + threadIdx.x) * 32, heads = keys.active_heads();
  const int begin = blockIdx.z * tokens_per_block, end = min(begin + tokens_per_block, a.p.query_len);
  uint32_t any = 0;
  int pairs = 0;
  if (heads > 0)
    for (int token = begin; token < end; token++) {
      const uint32_t bits = keys.word(token, s);
      pairs += __popc(bits);
      any |= bits;
    }
  int64_t total = static_cast<int64_t>(pairs) * heads;
  int entries = __popc(any) * keys.runs();
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    total += __shfl_xor_sync(~0u, total, step);
    entries += __shfl_xor_sync(~0u, entries, step);
  }
  const int64_t segment = static_cast<int64_t>(keys.row) * a.p.cache.num_kv_heads + keys.kv_head;
  if (threadIdx.x % 32 == 0 && total > 0) {
    atomicAdd(reinterpret_cast<unsigned long long*>(a.p.results), static_cast<unsigned long long>(total));
    if (a.p.counts) atomicAdd(a.p.counts + segment, entries);
  }
  if (!a.p.seen) return;
  for (; any; any &= any - 1) {
    const int slot = s + __ffs(static_cast<int>(any)) - 1;
    if (slot < a.p.seen_width) a.p.seen[segment * a.p.seen_width + slot] = 1;
  }
}

bool has_lists(const WnKeySet& set) { return set.kind >= WN_SET_SLOTS; }

/// What Hopper's kernel can do by a plan: plain causal attention of at least 128 tokens that is not worth splitting, over sets
/// that do not change within 64 of them but by diagonals.
bool takes_plan(const WnAttendSetsParams& p, int pack) {
  for (int i = 0; i < p.num_sets; i++)
    if (has_lists(p.sets[i]) && p.sets[i].query_block % 64 != 0) return false;
  const int dim = p.cache.head_dim;
  const bool is_plain = p.visible == WN_VISIBLE_CAUSAL && !p.old_only && !p.queries.values && !p.bias && !p.cache.log_bias &&
                        p.positions == WN_POSITIONS_KEEP && p.keys_rotated && p.sliding_window == 0 && p.soft_cap == 0;
  return p.num_pages > 0 && is_plain && p.cache.rows == 1 && !p.counts && !p.seen && (dim == 64 || dim == 128 || dim == 256) &&
         p.query_len >= 128 && p.query_len * pack > kMaxSplitQueries && p.max_slots <= kMaxPlanSlots;
}

}  // namespace

bool plan_key_sets(const WnAttendSetsParams& p, KeySetsArgs* a) {
  const int kv_heads = p.cache.num_kv_heads;
  a->p = p;
  a->lists = 1;
  int64_t at = 0;
  auto widen = [&](const WnKeyLists& lists) { a->lists = lists.values && lists.per_row > a->lists ? lists.per_row : a->lists; };
  auto take = [&](int64_t words) {
    const int64_t begin = at;
    at += words;
    return begin;
  };
  bool has_diagonals = false, by_query_head = p.bias && p.bias_heads > kv_heads;
  for (int i = 0; i < p.num_sets; i++) {
    const WnKeySet& set = p.sets[i];
    if (set.kind == WN_SET_ALL) a->names_all = 1;
    if (set.kind == WN_SET_WINDOW) {
      a->sink = set.sink > a->sink ? set.sink : a->sink;
      a->recent = set.recent > a->recent ? set.recent : a->recent;
    }
    if (has_lists(set)) widen(set.lists);
    if (set.kind == WN_SET_VERTICAL_SLASH) {
      widen(set.diagonals);
      has_diagonals = true;
    }
  }
  widen(p.queries);
  by_query_head = by_query_head || a->lists > kv_heads;
  a->pack = by_query_head ? 1 : p.num_query_heads / kv_heads;
  const int64_t slots = p.max_slots + (p.visible == WN_VISIBLE_EVERY ? p.query_len : 0);
  a->slot_words = static_cast<int32_t>(ceil_div(slots, 32));
  a->query_words = ceil_div(p.query_len, 32);
  a->is_planned = takes_plan(p, a->pack);
  has_diagonals = has_diagonals || (a->is_planned && a->recent > 0);
  const int64_t lists = static_cast<int64_t>(p.cache.rows) * a->lists;
  for (int i = 0; i < p.num_sets; i++) {
    const WnKeySet& set = p.sets[i];
    if (!has_lists(set)) continue;
    int plane = 0;
    while (plane < a->num_planes && a->planes[plane].query_block != set.query_block) plane++;
    if (plane == kMaxPlanes) return false;
    if (plane < a->num_planes) continue;
    a->planes[a->num_planes++] = {take(lists * set.lists.blocks * a->plane_stride()), set.query_block, set.lists.blocks};
  }
  a->diagonals = has_diagonals ? take(lists * a->diagonal_stride()) : -1;
  a->queries = p.queries.values ? take(lists * a->query_words) : -1;
  a->ancestors = p.visible == WN_VISIBLE_TREE ? take(static_cast<int64_t>(p.cache.rows) * p.query_len * (a->query_words + 1)) : -1;
  a->bias_by_slot = p.bias && p.bias_by_entry ? take(p.cache.rows * p.bias_heads * p.max_slots) : -1;
  a->num_words = ceil_div(at, int64_t{4}) * 4;
  return true;
}

WnStatus launch_key_sets(const KeySetsArgs& a, cudaStream_t stream) {
  const WnAttendSetsParams& p = a.p;
  const int64_t segments = static_cast<int64_t>(p.cache.rows) * p.cache.num_kv_heads;
  cudaError_t error = cudaMemsetAsync(p.results, 0, 16, stream);
  if (error == cudaSuccess && a.num_words > 0) error = cudaMemsetAsync(a.words, 0, a.num_words * 4, stream);
  if (error == cudaSuccess && p.counts) error = cudaMemsetAsync(p.counts, 0, segments * 4, stream);
  if (error == cudaSuccess && p.seen) error = cudaMemsetAsync(p.seen, 0, segments * p.seen_width, stream);
  if (error != cudaSuccess) return cuda_status(error, "attend_sets: zero");
  const auto lists = static_cast<unsigned>(p.cache.rows * a.lists);
  for (int i = 0; i < p.num_sets; i++) {
    const WnKeySet& set = p.sets[i];
    if (!has_lists(set)) continue;
    int plane = 0;
    while (a.planes[plane].query_block != set.query_block) plane++;
    FillArgs f{a, set.lists, a.planes[plane].at, a.plane_stride(), set.lists.blocks};
    f.unit = set.kind == WN_SET_PAGES ? set.page_size : 1;
    f.first_word = 1;
    f.with_new = set.with_new && set.kind != WN_SET_VERTICAL_SLASH;
    fill_kernel<<<lists * static_cast<unsigned>(set.lists.blocks), 256, 0, stream>>>(f);
    if (set.kind != WN_SET_VERTICAL_SLASH) continue;
    FillArgs d{a, set.diagonals, a.diagonals, a.diagonal_stride(), 1};
    d.unit = 1;
    d.first_word = 1;
    d.backwards = true;
    fill_kernel<<<lists, 256, 0, stream>>>(d);
  }
  if (a.queries >= 0) {
    FillArgs f{a, p.queries, a.queries, a.query_words, 1};
    f.unit = 1;
    f.limit = p.query_len;
    fill_kernel<<<lists, 256, 0, stream>>>(f);
  }
  if (a.ancestors >= 0) {
    const int64_t tokens = static_cast<int64_t>(p.cache.rows) * p.query_len;
    ancestors_kernel<<<static_cast<unsigned>(ceil_div(tokens, 256)), 256, 0, stream>>>(a);
  }
  if (a.bias_by_slot >= 0) {
    const auto rows = static_cast<unsigned>(p.cache.rows * p.bias_heads);
    spread_bias_kernel<<<rows, 256, 0, stream>>>(a);
  }
  const WnStatus status = launch_status("attend_sets: lists");
  if (status.code || a.is_planned) return status;
  const int per_block = p.counts || p.seen || p.query_len <= 64 ? p.query_len : 64;
  const dim3 grid(ceil_div(a.slot_words, 128), p.cache.rows * (p.num_query_heads / a.pack), ceil_div(p.query_len, per_block));
  count_kernel<<<grid, 128, 0, stream>>>(a, per_block);
  return launch_status("attend_sets: counts");
}

}  // namespace winnow
