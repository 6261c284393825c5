#include "attend_sets_tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "pool.h"
#include "rope_shift.h"

namespace winnow {
namespace {

/// 0 where a bit is set, -inf where not, for four bits.
struct HideTable {
  alignas(16) float rows[16][4];
  HideTable() {
    for (int bits = 0; bits < 16; bits++)
      for (int i = 0; i < 4; i++) rows[bits][i] = (bits >> i & 1) != 0 ? 0.0f : -INFINITY;
  }
};
const HideTable kHide;

/// Memory of one thread, kept between tiles.
struct TileMemory {
  std::vector<int32_t> tokens;
  std::vector<uint64_t> bits;   ///< [tokens][words]
  std::vector<uint64_t> far;    ///< the same for a clamped part
  Bits any;
  std::vector<int32_t> slots;
  std::vector<int32_t> visible;
  std::vector<int32_t> own;
  std::vector<uint8_t> is_masked;
  std::vector<uint8_t> queries;
  std::vector<uint8_t> turned;  ///< queries of a rotated pass
  std::vector<uint8_t> keys;
  std::vector<uint8_t> out;
  std::vector<float> lse;
  std::vector<float> bias;
};
TileMemory& Memory() {
  static thread_local TileMemory memory;
  return memory;
}

/// Masks by bits of slots, and biases by slot.
class SlotBias : public RowBias {
 public:
  const TileMemory* memory;
  const uint64_t* bits;
  int32_t words;
  const float* by_slot;  ///< in nats, or null
  float unit;

  const float* Fill(int32_t, int32_t token, int32_t base, float* room) const override {
    const bool is_masked = memory->is_masked[token] != 0;
    if (!is_masked && by_slot == nullptr) return nullptr;
    // Entries beyond those it sees are hidden by their number.
    const int32_t count = std::clamp(memory->visible[token] - base, 0, kKeyBlock);
    const int32_t* slots = memory->slots.data() + base;
    if (is_masked) {
      const uint64_t* row = bits + int64_t{token} * words;
      int32_t e = 0;
      for (; e + 4 <= count; e += 4) {
        const int32_t slot = slots[e];
        uint32_t four = 0;
        if (slots[e + 3] == slot + 3) {
          const int32_t shift = slot % 64;
          uint64_t word = row[slot / 64] >> shift;
          if (shift > 60) word |= row[slot / 64 + 1] << (64 - shift);
          four = static_cast<uint32_t>(word & 15);
        } else {
          for (int32_t i = 0; i < 4; i++) four |= static_cast<uint32_t>(HasBit(row, slots[e + i])) << i;
        }
        std::memcpy(room + e, kHide.rows[four], 16);
      }
      for (; e < count; e++) room[e] = HasBit(row, slots[e]) ? 0.0f : -INFINITY;
    } else {
      std::memset(room, 0, sizeof(float) * static_cast<size_t>(count));
    }
    if (by_slot != nullptr) {
      for (int32_t e = 0; e < count; e++) room[e] += by_slot[slots[e]] * unit;
    }
    for (int32_t e = count; e < kKeyBlock; e++) room[e] = 0.0f;
    return room;
  }
};

int32_t PositionAt(const HeadCache& head, int32_t slot) { return head.pages[slot / kPageSize]->positions[slot % kPageSize]; }

/// Biases of a unit by slot; null when there are none. A unit of several query heads has one row for all of them.
const float* BiasOf(const AttendSetsParams& p, const LayerGeometry& shape, const SetUnit& unit, TileMemory& memory) {
  if (p.bias == nullptr) return nullptr;
  const int32_t len = unit.head->len;
  const int32_t index = p.bias_heads == 1 ? 0 : p.bias_heads == shape.num_kv_heads ? unit.kv_head : unit.first_head;
  memory.bias.assign(static_cast<size_t>(len), 0.0f);
  const float* from = p.bias + (int64_t{unit.row} * p.bias_heads + index) * p.bias_width;
  if (!p.bias_by_entry) {
    std::copy(from, from + std::min<int64_t>(len, p.bias_width), memory.bias.begin());
    return memory.bias.data();
  }
  const Lists& lists = p.sets[0].lists;
  const int64_t at = lists.At(unit.row, index, 0);
  for (int32_t i = 0; i < lists.lens[at]; i++) memory.bias[lists.values[at * lists.max_len + i]] = from[i];
  return memory.bias.data();
}

enum class Turn { kNone, kOwnPlace, kCompact, kFar };

/// One pass over entries that any query of the tile sees; `bits` [tokens][words], null where the tile is uniform.
bool AttendPass(SetsRun& run, const SetUnit& unit, SetBits& sets, const uint64_t* bits, Turn turn, const AttendState& state,
                AttendJob job) {
  TileMemory& memory = Memory();
  const AttendSetsParams& p = run.p;
  const int32_t words = sets.words();
  const auto count = static_cast<int32_t>(memory.tokens.size());
  memory.any.assign(words, 0);
  if (bits == nullptr) {
    std::copy(sets.shared(), sets.shared() + words, memory.any.begin());
    int32_t end = 0;
    for (const int32_t token : memory.tokens) end = std::max(end, sets.EndOf(token));
    KeepBelow(memory.any.data(), words, end);
  } else {
    for (int32_t i = 0; i < count; i++)
      for (int32_t w = 0; w < words; w++) memory.any[w] |= bits[int64_t{i} * words + w];
  }
  memory.slots.clear();
  for (int32_t w = 0; w < words; w++) {
    for (uint64_t left = memory.any[w]; left != 0; left &= left - 1) memory.slots.push_back(w * 64 + __builtin_ctzll(left));
  }
  const auto size = static_cast<int32_t>(memory.slots.size());
  if (size == 0) return true;

  memory.visible.assign(count, 0);
  memory.is_masked.assign(count, 0);
  bool has_masks = false;
  int64_t pairs = 0;
  for (int32_t i = 0; i < count; i++) {
    const uint64_t* row = bits == nullptr ? nullptr : bits + int64_t{i} * words;
    const int32_t end = row == nullptr ? sets.EndOf(memory.tokens[i]) : LastBit(row, words) + 1;
    memory.visible[i] =
        static_cast<int32_t>(std::lower_bound(memory.slots.begin(), memory.slots.end(), end) - memory.slots.begin());
    const int64_t own = row == nullptr ? memory.visible[i] : CountBits(row, words);
    memory.is_masked[i] = own != memory.visible[i];
    has_masks = has_masks || memory.is_masked[i] != 0;
    pairs += own;
  }
  run.pairs += pairs * unit.num_heads;
  if (!run.read.empty()) {
    const std::lock_guard<std::mutex> guard(run.lock);
    Bits& read = run.read[unit.index];
    for (int32_t w = 0; w < words; w++) read[w] |= memory.any[w];
  }
  if (turn == Turn::kCompact && has_masks) {
    run.is_uneven = true;
    return true;
  }

  job.list.head = unit.head;
  job.list.kept = size;
  job.list.first_new = unit.first_new;
  job.list.num_new = 0;
  // A prefix is read as it is.
  job.list.indices = memory.slots.back() == size - 1 ? nullptr : memory.slots.data();
  job.visible = memory.visible.data();
  if (turn != Turn::kNone) {
    const int64_t key = run.shape.head_dim * run.bytes;
    const auto old = static_cast<int32_t>(std::lower_bound(memory.slots.begin(), memory.slots.end(), unit.first_new) -
                                          memory.slots.begin());
    memory.keys.resize(static_cast<size_t>(size * key));
    RowReader reader(job.list, 0);
    const void* rows[kKeyBlock];
    for (int32_t base = 0; base < size; base += kKeyBlock) {
      const int32_t some = std::min(kKeyBlock, size - base);
      if (!reader.Read(base, some, rows)) return false;
      for (int32_t e = 0; e < some; e++) {
        const int32_t position = PositionAt(*unit.head, memory.slots[base + e]);
        const int32_t to = turn == Turn::kOwnPlace ? position : turn == Turn::kCompact ? base + e : 0;
        ShiftRope(rows[e], run.element, run.shape.head_dim, p.cos_sin, p.rope_dims, p.keys_rotated ? position : -1, to,
                  memory.keys.data() + (base + e) * key);
      }
    }
    job.list.keys = memory.keys.data();
    if (turn != Turn::kOwnPlace) {
      memory.turned.resize(static_cast<size_t>(count) * unit.num_heads * key);
      for (int32_t i = 0; i < count; i++) {
        const int32_t from = PositionAt(*unit.head, memory.own[i]);
        const int32_t to = turn == Turn::kCompact ? old + memory.tokens[i] : p.clamp;
        for (int32_t h = 0; h < unit.num_heads; h++) {
          const int64_t at = (int64_t{i} * unit.num_heads + h) * key;
          ShiftRope(run.QueryAt(unit, memory.tokens[i]) + h * key, run.element, run.shape.head_dim, p.cos_sin, p.rope_dims, from,
                    to, memory.turned.data() + at);
        }
      }
      job.q = memory.turned.data();
      job.q_token_stride = int64_t{unit.num_heads} * run.shape.head_dim;
    }
  }

  SlotBias bias;
  bias.memory = &memory;
  bias.bits = bits;
  bias.words = words;
  bias.by_slot = BiasOf(p, run.shape, unit, memory);
  bias.unit = run.kernels.log_unit;
  if (has_masks || bias.by_slot != nullptr) job.row_bias = &bias;
  const int32_t furthest = *std::max_element(memory.visible.begin(), memory.visible.end());
  return AttendBlocks(job, 0, count, 0, (furthest + kKeyBlock - 1) / kKeyBlock, state);
}

/// Splits the bits of every token into near and far slots of a clamped part.
void SplitFar(const SetsRun& run, const SetUnit& unit, int32_t words) {
  TileMemory& memory = Memory();
  memory.far.assign(memory.bits.size(), 0);
  for (size_t i = 0; i < memory.tokens.size(); i++) {
    uint64_t* near = memory.bits.data() + i * words;
    uint64_t* far = memory.far.data() + i * words;
    const int64_t own = PositionAt(*unit.head, memory.own[i]);
    for (int32_t slot = 0; slot < unit.head->len; slot++) {
      if (!HasBit(near, slot) || own - PositionAt(*unit.head, slot) <= run.p.clamp) continue;
      near[slot / 64] &= ~(uint64_t{1} << (slot % 64));
      far[slot / 64] |= uint64_t{1} << (slot % 64);
    }
  }
}

}  // namespace

bool AttendTokens(SetsRun& run, const SetUnit& unit, const std::vector<int32_t>& tokens) {
  TileMemory& memory = Memory();
  memory.tokens = tokens;
  const AttendSetsParams& p = run.p;
  const auto count = static_cast<int32_t>(memory.tokens.size());
  const int64_t key = run.shape.head_dim * run.bytes;
  SetBits sets(p, unit);
  sets.Aim(memory.tokens.front());
  const int32_t words = sets.words();
  memory.own.resize(count);
  for (int32_t i = 0; i < count; i++) memory.own[i] = std::min(unit.first_new + memory.tokens[i], unit.head->len - 1);
  const bool needs_bits = !sets.IsUniform() || p.positions == PositionRule::kClamp;
  if (needs_bits) {
    memory.bits.assign(size_t(count) * words, 0);
    for (int32_t i = 0; i < count; i++) sets.For(memory.tokens[i], memory.bits.data() + int64_t{i} * words);
  }

  AttendJob job;
  job.kernels = &run.kernels;
  job.element = run.element;
  job.head_dim = run.shape.head_dim;
  job.head_dim_v = run.shape.head_dim_v;
  job.num_heads = unit.num_heads;
  job.query_len = count;
  job.softmax_scale = p.softmax_scale;
  job.soft_cap = p.soft_cap;
  job.sliding_window = p.visible == Visible::kEvery ? 0 : p.sliding_window;
  job.out_f32 = p.out_f32;
  const bool is_run = memory.tokens.back() - memory.tokens.front() + 1 == count;
  const int64_t out_bytes = p.out_f32 ? 4 : run.bytes;
  const int64_t value = run.shape.head_dim_v * out_bytes;
  if (is_run) {
    job.q = run.QueryAt(unit, memory.tokens.front());
    job.q_token_stride = int64_t{p.num_query_heads} * run.shape.head_dim;
    const int64_t at = run.OutRow(unit, memory.tokens.front());
    job.out = static_cast<uint8_t*>(p.out) + at * value;
    job.out_token_stride = int64_t{p.num_query_heads} * run.shape.head_dim_v;
    job.lse = p.lse == nullptr ? nullptr : p.lse + at;
    job.lse_token_stride = p.num_query_heads;
  } else {
    memory.queries.resize(size_t(count) * unit.num_heads * key);
    memory.out.resize(size_t(count) * unit.num_heads * value);
    memory.lse.resize(size_t(count) * unit.num_heads);
    for (int32_t i = 0; i < count; i++) {
      std::memcpy(memory.queries.data() + i * unit.num_heads * key, run.QueryAt(unit, memory.tokens[i]), unit.num_heads * key);
    }
    job.q = memory.queries.data();
    job.q_token_stride = int64_t{unit.num_heads} * run.shape.head_dim;
    job.out = memory.out.data();
    job.out_token_stride = int64_t{unit.num_heads} * run.shape.head_dim_v;
    job.lse = memory.lse.data();
    job.lse_token_stride = unit.num_heads;
  }

  const int64_t rows = int64_t{unit.num_heads} * count;
  const int32_t stride = job.value_stride();
  auto* floats = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(StateFloats(rows, stride)) * sizeof(float)));
  if (floats == nullptr) return false;
  const AttendState state = StateAt(floats, rows, stride);
  ResetState(state, rows, stride);
  job.own_slots = memory.own.data();
  const uint64_t* bits = needs_bits ? memory.bits.data() : nullptr;
  const Turn near = !p.keys_rotated ? Turn::kOwnPlace : Turn::kNone;
  if (p.positions == PositionRule::kClamp) {
    SplitFar(run, unit, words);
    if (!AttendPass(run, unit, sets, memory.far.data(), Turn::kFar, state, job)) return false;
    if (!AttendPass(run, unit, sets, bits, near, state, job)) return false;
  } else if (!AttendPass(run, unit, sets, bits, p.positions == PositionRule::kCompact ? Turn::kCompact : near, state, job)) {
    return false;
  }
  FinishTokens(job, 0, count, state);
  for (int32_t i = 0; i < count && !is_run; i++) {
    const int64_t at = run.OutRow(unit, memory.tokens[i]);
    std::memcpy(static_cast<uint8_t*>(p.out) + at * value, memory.out.data() + i * unit.num_heads * value,
                unit.num_heads * value);
    if (p.lse != nullptr) std::copy_n(memory.lse.data() + i * unit.num_heads, unit.num_heads, p.lse + at);
  }
  return true;
}

}  // namespace winnow
