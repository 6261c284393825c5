#include "key_plan.cuh"

#include "block_scan.cuh"

namespace winnow {
namespace {

constexpr int kThreads = 256;
/// All pairs that causality leaves lie on diagonals.
constexpr int32_t kEveryPair = 1 << 30;

/// The diagonals of a list, window included, once their ranks are known.
struct Diagonals {
  const uint32_t* words;
  const int32_t* ranks;
  int top;
  WN_DEVICE Diagonals(const KeySetsArgs& a, const KeyPlan& plan, int64_t list)
      : words(a.words + a.diagonals + list * a.diagonal_stride() + 1), ranks(plan.ranks + list * (a.slot_words + 1)), top(a.top()) {}
  WN_DEVICE int before(int bit) const { return ranks[bit / 32] + (bit % 32 ? __popc(words[bit / 32] & ((1u << (bit % 32)) - 1)) : 0); }
  /// How many distances of [begin, end) there are; those below 0 are no distances.
  WN_DEVICE int among(int begin, int end) const {
    begin = max(begin, 0);
    end = min(end, top + 1);
    return begin < end ? before(top - begin + 1) - before(top - end + 1) : 0;
  }
};
/// Distance of the first query of a half from the first slot of a block, for entry k of `pairs`.
WN_DEVICE int distance_of(int first_new, int k) { return first_new + 64 * (k - (first_new + 63) / 64); }
WN_DEVICE int distance_index(int first_new, int half, int block) { return half - block + (first_new + 63) / 64; }
/// Of `rows` queries the first of which is `distance` behind a slot: how many may see it.
WN_DEVICE int rows_that_see(int rows, int distance) { return max(0, min(rows, rows + distance)); }

/// One block a list: the window joins the diagonals, then ranks, then pairs by distance.
__global__ void __launch_bounds__(kThreads) distances_kernel(const __grid_constant__ KeySetsArgs a, const __grid_constant__ KeyPlan plan) {
  __shared__ int32_t of_warp[kThreads / 32];
  uint32_t* words = a.words + a.diagonals + blockIdx.x * static_cast<int64_t>(a.diagonal_stride());
  const bool names_all = words[0] & kListsAll;
  words++;
  int32_t* ranks = plan.ranks + blockIdx.x * static_cast<int64_t>(a.slot_words + 1);
  const int each = ceil_div(a.slot_words, kThreads), begin = threadIdx.x * each, end = min(begin + each, a.slot_words);
  int count = 0, total = 0;
  for (int i = begin; i < end; i++) {
    words[i] |= names_all ? ~0u : range_word(32 * i, a.top() + 1 - a.recent, a.top() + 1);
    count += __popc(words[i]);
  }
  int before = block_scan<kThreads>(count, of_warp, &total);
  for (int i = begin; i < end; i++) {
    ranks[i] = before;
    before += __popc(words[i]);
  }
  if (threadIdx.x == 0) ranks[a.slot_words] = total;
  __syncthreads();
  const Diagonals diagonals(a, plan, blockIdx.x);
  const int first_new = static_cast<int>(a.p.max_slots) - a.p.query_len;
  for (int k = threadIdx.x; k < plan.distances; k += kThreads) {
    const int distance = distance_of(first_new, k);
    int on = 0, all = 0;
    for (int j = 0; j < 64; j++) {
      on += diagonals.among(distance - j, distance - j + 64);
      all += rows_that_see(64, distance - j);
    }
    plan.pairs[blockIdx.x * static_cast<int64_t>(plan.distances) + k] = on | (on == all ? kEveryPair : 0);
  }
}

/// Columns of a block that the lists name for the half that begins with `token`, or for all queries.
struct Columns {
  const KeySetsArgs& a;
  const KeyPlace& at;
  WN_DEVICE uint64_t of_plane(const KeyPlane& plane, int query_block, int block) const {
    const uint32_t* words = a.words + plane.at + (at.list * plane.blocks + query_block) * a.plane_stride();
    const uint32_t flags = words[0];
    if (flags & kListsAll) return ~0ull;
    uint64_t bits = words[1 + 2 * block];
    if (2 * block + 1 < a.slot_words) bits |= static_cast<uint64_t>(words[2 + 2 * block]) << 32;
    return flags & kListsNew ? bits | range(64 * block, at.first_new, at.n) : bits;
  }
  WN_DEVICE static uint64_t range(int s, int begin, int end) {
    return range_word(s, begin, end) | static_cast<uint64_t>(range_word(s + 32, begin, end)) << 32;
  }
  WN_DEVICE uint64_t of_all(int block) const {
    uint64_t bits = a.names_all ? ~0ull : range(64 * block, 0, a.sink);
#pragma unroll 1
    for (int i = 0; i < a.num_planes; i++)
      if (a.planes[i].query_block == 0) bits |= of_plane(a.planes[i], 0, block);
    return bits;
  }
  WN_DEVICE uint64_t of_half(int token, int block) const {
    uint64_t bits = 0;
#pragma unroll 1
    for (int i = 0; i < a.num_planes; i++)
      if (a.planes[i].query_block > 0) bits |= of_plane(a.planes[i], token / a.planes[i].query_block, block);
    return bits;
  }
};
WN_DEVICE int count_bits(uint64_t bits) { return __popc(static_cast<uint32_t>(bits)) + __popc(static_cast<uint32_t>(bits >> 32)); }

WN_DEVICE int lowest_bit(uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  return low ? __ffs(static_cast<int>(low)) - 1 : 31 + __ffs(static_cast<int>(bits >> 32));
}

/// One block a group: which columns are packed, in ascending order.
__global__ void __launch_bounds__(kThreads) pack_columns_kernel(const __grid_constant__ KeySetsArgs a, const __grid_constant__ KeyPlan plan) {
  __shared__ int32_t of_warp[kThreads / 32];
  __shared__ int32_t len;
  const KeyPlace at = key_place(a, blockIdx.x);
  const Columns columns{a, at};
  const int room = 64 * plan.packed_blocks, lane = threadIdx.x % 32;
  auto alone = [&](int block) {
    if (block >= plan.blocks || at.table[block] < 0) return uint64_t{0};
    const uint64_t bits = columns.of_all(block) & Columns::range(64 * block, 0, at.n);
    return count_bits(bits) < kManyColumns ? bits : 0;
  };
  int count = 0, blocks = 0, total = 0;
  for (int block = threadIdx.x; block < plan.blocks; block += kThreads) {
    const int own = count_bits(alone(block));
    count += own;
    blocks += own > 0;
  }
  block_scan<kThreads>(blocks, of_warp, &total);
  const int all_blocks = total;
  block_scan<kThreads>(count, of_warp, &total);
  const bool is_worth = ceil_div(min(total, room), 64) < all_blocks;
  if (threadIdx.x == 0) len = 0;
  __syncthreads();
  int ahead = 0;
  for (int base = 0; base < plan.blocks; base += kThreads) {
    const int block = base + static_cast<int>(threadIdx.x);
    uint64_t bits = alone(block);
    const int own = count_bits(bits), before = ahead + block_scan<kThreads>(own, of_warp, &total);
    ahead += total;
    const bool is_packed = is_worth && own > 0 && before + own <= room;
    const uint32_t votes = __ballot_sync(~0u, is_packed);
    if (lane == 0 && block < plan.blocks) plan.is_packed[blockIdx.x * static_cast<int64_t>(plan.block_words()) + block / 32] = votes;
    if (is_packed) {
      int32_t* slots = plan.packed_slots + blockIdx.x * static_cast<int64_t>(room) + before;
      for (; bits; bits &= bits - 1) *slots++ = 64 * block + lowest_bit(bits);
      atomicMax(&len, before + own);
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) plan.packed_lens[blockIdx.x] = len;
}

/// One block a group and 64 packed columns: their keys and values, as in a page, zeros behind the last.
__global__ void __launch_bounds__(kThreads) copy_columns_kernel(const __grid_constant__ KeySetsArgs a, const __grid_constant__ KeyPlan plan) {
  const int group = blockIdx.y, len = plan.packed_lens[group], first = 64 * blockIdx.x;
  if (first >= len) return;
  const KeyPlace at = key_place(a, group);
  const int64_t row_bytes = a.p.cache.head_dim * 2, pieces = row_bytes / 16;
  const int32_t* slots = plan.packed_slots + (static_cast<int64_t>(group) * plan.packed_blocks) * 64;
  char* target = plan.packed + (static_cast<int64_t>(group) * plan.packed_blocks + blockIdx.x) * 128 * row_bytes;
  for (int i = threadIdx.x; i < 128 * pieces; i += kThreads) {
    const int row = static_cast<int>(i / pieces), key = first + row % 64;
    uint4 piece = {0, 0, 0, 0};
    if (key < len) {
      const int64_t source = at.table[slots[key] / 64] * int64_t{128} + slots[key] % 64 + row / 64 * 64;
      piece = *reinterpret_cast<const uint4*>(static_cast<const char*>(a.p.cache.pages) + source * row_bytes + i % pieces * 16);
    }
    *reinterpret_cast<uint4*>(target + i * int64_t{16}) = piece;
  }
}

/// What a half of a tile sees of a block.
struct HalfView {
  uint64_t columns = ~0ull;  ///< named for all its queries
  int on_diagonals = 0;      ///< pairs, where diagonals add any
  int pairs = 0;
};
WN_DEVICE HalfView view_half(const KeySetsArgs& a, const KeyPlan& plan, const KeyPlace& at, int half, int block, uint64_t columns) {
  HalfView view;
  const int token = 64 * half, rows = min(64, a.p.query_len - token), distance = at.first_new + token - 64 * block;
  if (rows <= 0 || distance < -63) return view;  // nobody, or all hidden: as good as seen
  const int on = a.diagonals >= 0 ? plan.pairs[at.list * plan.distances + distance_index(at.first_new, half, block)] : 0;
  view.columns = on & kEveryPair ? ~0ull : columns;
  view.on_diagonals = view.columns == ~0ull ? 0 : on;
  // Columns that all queries see whole, and diagonals, need no look at single columns; what both name is counted once.
  const bool is_plain = distance >= 63 && (view.columns == ~0ull || !view.on_diagonals);
  if (is_plain || (view.columns == 0 && rows == 64)) {
    view.pairs = view.on_diagonals + rows * count_bits(view.columns);
    return view;
  }
  const bool counts_anew = view.on_diagonals > 0 && rows < 64;
  int pairs = counts_anew ? 0 : view.on_diagonals;
#pragma unroll 1
  for (uint64_t left = counts_anew ? ~0ull : view.columns; left; left &= left - 1) {
    const int j = lowest_bit(left), named = view.columns >> j & 1 ? rows_that_see(rows, distance - j) : 0;
    const int both = view.on_diagonals ? Diagonals(a, plan, at.list).among(distance - j, distance - j + rows) : 0;
    pairs += counts_anew ? max(named, both) : named - both;
  }
  view.pairs = pairs;
  return view;
}

/// One block a tile and group: its list.
__global__ void __launch_bounds__(kThreads) plan_tiles_kernel(const __grid_constant__ KeySetsArgs a, const __grid_constant__ KeyPlan plan) {
  __shared__ int32_t of_warp[kThreads / 32];
  __shared__ uint32_t visited[kMaxPlanSlots / 64 / 32];
  __shared__ uint64_t packed[kMaxPackedBlocks];
  const int group = blockIdx.y, tile = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const KeyPlace at = key_place(a, group);
  const int first_own = at.first_new + tile * plan.tile_tokens(), blocks = min(ceil_div(min(first_own + plan.tile_tokens(), at.n), 64), plan.blocks);
  const int64_t list = static_cast<int64_t>(group) * plan.tiles + tile;
  uint32_t* codes = plan.codes + list * plan.capacity;
  uint64_t* masks = plan.masks + list * plan.capacity * plan.halves;
  int len = 0, total = 0;
  int64_t pairs = 0;
  for (int base = 0; base < blocks; base += kThreads) {
    const int block = base + threadIdx.x;
    bool is_read = false;
    uint32_t code = block;
    uint64_t columns[2] = {~0ull, ~0ull};
    if (block < blocks && at.table[block] >= 0) {
      const Columns of{a, at};
      const uint64_t all = of.of_all(block);
      const bool is_packed = plan.packed_blocks > 0 && plan.is_packed[group * static_cast<int64_t>(plan.block_words()) + block / 32] >> (block % 32) & 1;
      const uint64_t elsewhere = is_packed && 64 * block + 63 < first_own ? all : 0;
      uint64_t left = 0;
      int on_diagonals = 0;
#pragma unroll
      for (int h = 0; h < 2; h++) {
        if (h == plan.halves) break;
        const int half = tile * plan.halves + h;
        const HalfView view = view_half(a, plan, at, half, block, all | of.of_half(64 * half, block));
        columns[h] = view.columns;
        on_diagonals |= view.on_diagonals;
        left |= view.pairs > 0 ? view.columns & ~elsewhere : 0;
        pairs += view.pairs;
      }
      is_read = left != 0 || on_diagonals > 0;
      if (columns[0] != ~0ull || columns[1] != ~0ull) code |= kBlockMasked;
      if (on_diagonals > 0) code |= kBlockDiagonals;
    }
    const uint32_t votes = __ballot_sync(~0u, is_read);
    if (lane == 0) visited[(base + threadIdx.x) / 32] = votes;
    const int at_entry = len + block_scan<kThreads>(is_read, of_warp, &total);
    len += total;
    if (is_read) {
      codes[at_entry] = code;
      masks[at_entry * plan.halves] = columns[0];
      if (plan.halves == 2) masks[at_entry * 2 + 1] = columns[1];
    }
  }
  __syncthreads();
  if (plan.packed_blocks > 0) {
    const int columns = plan.packed_lens[group];
    const int32_t* slots = plan.packed_slots + static_cast<int64_t>(group) * plan.packed_blocks * 64;
    for (int q = warp; q < plan.packed_blocks; q += kThreads / 32) {
      uint64_t seen = 0;
      for (int part = 0; part < 2; part++) {
        const int i = 64 * q + 32 * part + lane, slot = i < columns ? slots[i] : INT32_MAX / 2, block = slot / 64;
        const bool is_left = 64 * block + 63 < first_own && !(visited[block / 32] >> (block % 32) & 1);
        seen |= static_cast<uint64_t>(__ballot_sync(~0u, is_left)) << (32 * part);
      }
      if (lane == 0) packed[q] = seen;
    }
    __syncthreads();
    const int q = threadIdx.x;
    const uint64_t seen = q < plan.packed_blocks ? packed[q] : 0;
    const int at_entry = len + block_scan<kThreads>(seen != 0, of_warp, &total);
    len += total;
    if (seen) {
      codes[at_entry] = q | kBlockPacked | (seen != ~0ull ? kBlockMasked : 0);
      for (int h = 0; h < plan.halves; h++) masks[at_entry * plan.halves + h] = seen;
    }
  }
  if (threadIdx.x == 0) plan.lens[list] = len;
#pragma unroll
  for (int step = 16; step > 0; step /= 2) pairs += __shfl_xor_sync(~0u, pairs, step);
  if (lane == 0 && pairs > 0) {
    const int heads = KeyReader(a, at).active_heads();
    atomicAdd(reinterpret_cast<unsigned long long*>(a.p.results), static_cast<unsigned long long>(pairs * heads));
  }
}

/// Room for packed columns: what lists for all queries can name, where more than one block would have to be read for them.
int packed_blocks_of(const WnAttendSetsParams& p) {
  int64_t columns = 0;
  for (int i = 0; i < p.num_sets; i++) {
    const WnKeySet& set = p.sets[i];
    if (set.kind < WN_SET_SLOTS || set.query_block > 0) continue;
    columns += set.lists.max_len * int64_t{set.kind == WN_SET_PAGES ? set.page_size : 1};
  }
  if (columns == 0) return 0;
  const int64_t blocks = ceil_div(columns + kManyColumns, int64_t{64}), most = ceil_div(p.max_slots, int64_t{128});
  return static_cast<int>(blocks < most && blocks < kMaxPackedBlocks ? blocks : most < kMaxPackedBlocks ? most : kMaxPackedBlocks);
}

}  // namespace

KeyPlan lay_out_plan(const KeySetsArgs& a, uint32_t* space) {
  const WnAttendSetsParams& p = a.p;
  KeyPlan plan{};
  auto take = [&](int64_t words) {
    uint32_t* begin = space ? space + plan.words : nullptr;
    plan.words += ceil_div(words, int64_t{4}) * 4;
    return begin;
  };
  // Two heads side by side where pairs of them share their sets and whether they attend.
  bool in_pairs = a.pack % 2 == 0;
  for (int head = 0; head + 1 < p.num_query_heads; head += 2)
    in_pairs = in_pairs && (p.heads[head / 32] >> (head % 32) & 1) == (p.heads[head / 32] >> (head % 32 + 1) & 1);
  plan.halves = in_pairs ? 1 : 2;
  plan.groups = p.num_query_heads / a.pack;
  plan.tiles = ceil_div(p.query_len, plan.tile_tokens());
  plan.blocks = static_cast<int32_t>(ceil_div(p.max_slots, int64_t{64}));
  plan.packed_blocks = packed_blocks_of(p);
  plan.capacity = ceil_div(plan.blocks + plan.packed_blocks, 2) * 2;
  const int first_new = static_cast<int>(p.max_slots) - p.query_len;
  plan.distances = ceil_div(p.query_len, 64) + (first_new + 63) / 64;
  const int64_t lists = static_cast<int64_t>(plan.groups) * plan.tiles, groups = plan.groups;
  plan.codes = take(lists * plan.capacity);
  plan.lens = reinterpret_cast<int32_t*>(take(lists));
  plan.masks = reinterpret_cast<uint64_t*>(take(lists * plan.capacity * plan.halves * 2));
  if (a.diagonals >= 0) {
    plan.ranks = reinterpret_cast<int32_t*>(take(static_cast<int64_t>(a.lists) * (a.slot_words + 1)));
    plan.pairs = reinterpret_cast<int32_t*>(take(static_cast<int64_t>(a.lists) * plan.distances));
  }
  if (plan.packed_blocks > 0) {
    plan.is_packed = take(groups * plan.block_words());
    plan.packed_slots = reinterpret_cast<int32_t*>(take(groups * plan.packed_blocks * 64));
    plan.packed_lens = reinterpret_cast<int32_t*>(take(groups));
    plan.packed = reinterpret_cast<char*>(take(groups * plan.packed_blocks * 64 * p.cache.head_dim));
  }
  return plan;
}

WnStatus launch_key_plan(const KeySetsArgs& a, const KeyPlan& plan, cudaStream_t stream) {
  if (a.diagonals >= 0) distances_kernel<<<static_cast<unsigned>(a.lists), kThreads, 0, stream>>>(a, plan);
  if (plan.packed_blocks > 0) {
    pack_columns_kernel<<<static_cast<unsigned>(plan.groups), kThreads, 0, stream>>>(a, plan);
    const dim3 copies(plan.packed_blocks, plan.groups);
    copy_columns_kernel<<<copies, kThreads, 0, stream>>>(a, plan);
  }
  const dim3 grid(plan.tiles, plan.groups);
  plan_tiles_kernel<<<grid, kThreads, 0, stream>>>(a, plan);
  return launch_status("attend_sets: plan");
}

}  // namespace winnow
