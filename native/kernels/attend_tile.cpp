#include "attend_tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "exact_log.h"
#include "pool.h"

namespace winnow {
namespace {

/// One block of a list, packed.
struct PackedBlock {
  const void* key_rows[kKeyBlock];
  const void* value_rows[kKeyBlock];
  uint8_t* keys;
  uint8_t* values;
  int64_t key_panel_bytes;
  int64_t value_panel_bytes;
  alignas(64) float bias[kKeyBlock];
  alignas(64) int32_t positions[kKeyBlock];
  int32_t newest[kKeyBlock / kPanel];  ///< largest position of each panel
  bool has_bias;
};

/// What one row of a group sees of a block.
struct Sight {
  int32_t limit;
  int32_t hole_begin;
  int32_t hole_end;
  int32_t begin;
  int32_t end;
};

int32_t VisibleEntries(const AttendJob& job, int32_t token) {
  return job.visible == nullptr ? job.list.kept + token + 1 : job.visible[token];
}

int32_t OwnSlot(const AttendJob& job, int32_t token) {
  return job.own_slots == nullptr ? job.list.first_new + token : job.own_slots[token];
}

Sight SightOf(const AttendJob& job, int32_t head, int32_t token, int32_t base) {
  const int32_t visible = VisibleEntries(job, token);
  Sight sight{std::clamp(visible - base, 0, kKeyBlock), kKeyBlock, kKeyBlock, 0, 0};
  if (job.windows != nullptr) {
    const int32_t sink = job.windows[head * 2];
    const int32_t recent = job.windows[head * 2 + 1];
    if (sink >= 0 && recent >= 0) {
      const int32_t from = std::min(sink, visible);
      const int32_t to = std::max(from, visible - recent);
      sight.hole_begin = std::clamp(from - base, 0, kKeyBlock);
      sight.hole_end = std::clamp(to - base, 0, kKeyBlock);
    }
  }
  sight.end = sight.limit;
  if (sight.hole_begin == 0) sight.begin = sight.hole_end;
  if (sight.hole_end >= sight.limit) sight.end = std::min(sight.end, sight.hole_begin);
  if (sight.begin >= sight.end) sight.begin = sight.end = 0;
  return sight;
}

void GatherFields(const AttendJob& job, int32_t base, PackedBlock& block) {
  const int32_t count = std::min(kKeyBlock, job.list.size() - base);
  const bool wants_positions = job.sliding_window > 0;
  const float unit = job.kernels->log_unit;
  block.has_bias = false;
  for (int32_t e = 0; e < count; e++) {
    const int32_t slot = job.list.SlotOf(base + e);
    const Page& page = *job.list.head->pages[slot / kPageSize];
    if (page.has_bias && !block.has_bias) {
      std::memset(block.bias, 0, sizeof block.bias);
      block.has_bias = true;
    }
    if (page.has_bias) block.bias[e] = page.bias[slot % kPageSize] * unit;
    if (wants_positions) block.positions[e] = page.positions[slot % kPageSize];
    // Without positions and biases a page needs no second look.
    if (!wants_positions && !page.has_bias) e += job.list.RunAt(base + e, slot, count - e) - 1;
  }
  if (!wants_positions) return;
  for (int32_t e = count; e < kKeyBlock; e++) block.positions[e] = INT32_MIN;
  for (int32_t panel = 0; panel < kKeyBlock / kPanel; panel++) {
    const int32_t* at = block.positions + panel * kPanel;
    block.newest[panel] = *std::max_element(at, at + kPanel);
  }
}

int32_t PositionOf(const HeadCache& head, int32_t slot) {
  return head.pages[slot / kPageSize]->positions[slot % kPageSize];
}

/// Fills the rows of a group for one block; false when it sees none of it.
bool AimGroup(const AttendJob& job, const PackedBlock& block, int32_t base, const int32_t* heads, const int32_t* tokens,
              AttendGroup& group) {
  int32_t begin = kKeyBlock;
  int32_t end = 0;
  for (int32_t i = 0; i < group.rows; i++) {
    Sight sight = SightOf(job, heads[i], tokens[i], base);
    group.limit[i] = sight.limit;
    group.hole_begin[i] = sight.hole_begin;
    group.hole_end[i] = sight.hole_end;
    if (sight.begin >= sight.end) continue;
    if (job.sliding_window > 0) {
      const int64_t least = int64_t{PositionOf(*job.list.head, OwnSlot(job, tokens[i]))} - job.sliding_window + 1;
      group.least_position[i] = static_cast<int32_t>(std::max<int64_t>(least, INT32_MIN + 1));
      int32_t first = sight.begin / kPanel;
      int32_t last = (sight.end + kPanel - 1) / kPanel;
      while (first < last && block.newest[first] < group.least_position[i]) first++;
      while (last > first && block.newest[last - 1] < group.least_position[i]) last--;
      if (first == last) continue;
      sight.begin = std::max(sight.begin, first * kPanel);
      sight.end = std::min(sight.end, last * kPanel);
    }
    begin = std::min(begin, sight.begin);
    end = std::max(end, sight.end);
  }
  if (begin >= end) return false;
  group.first_panel = begin / kPanel;
  group.last_panel = (end + kPanel - 1) / kPanel;
  return true;
}

/// One row of the widest element, for entries that are not there.
alignas(64) const float kZeroRow[kMaxHeadDim] = {};

/// Row pointers of a block, for a group that is alone on it. False: out of memory.
bool PointAtRows(const AttendJob& job, int32_t base, PackedBlock& block) {
  const int32_t count = std::min(kKeyBlock, job.list.size() - base);
  const int32_t end = (count + kPanel - 1) / kPanel * kPanel;
  for (int32_t e = count; e < end; e++) block.key_rows[e] = block.value_rows[e] = kZeroRow;
  RowReader keys(job.list, 0);
  RowReader values(job.list, 1);
  return keys.Read(base, count, block.key_rows) && values.Read(base, count, block.value_rows);
}

void ScatterLogits(const AttendJob& job, int32_t base, const int32_t* heads, const AttendGroup& group) {
  const int32_t count = std::min(kKeyBlock, job.list.size() - base);
  for (int32_t i = 0; i < group.rows; i++) {
    float* to = job.logits + heads[i] * job.logits_stride;
    for (int32_t e = 0; e < count; e++) to[job.list.SlotOf(base + e)] = group.logits[i][e];
  }
}

}  // namespace

AttendState StateAt(float* memory, int64_t rows, int32_t value_stride) {
  return {memory + rows * value_stride, memory + rows * value_stride + rows, memory};
}

void ResetState(const AttendState& state, int64_t rows, int32_t value_stride) {
  std::fill(state.m, state.m + rows, -INFINITY);
  std::memset(state.l, 0, static_cast<size_t>(rows) * sizeof(float));
  std::memset(state.o, 0, static_cast<size_t>(rows) * value_stride * sizeof(float));
}

bool AttendBlocks(const AttendJob& job, int32_t first, int32_t last, int32_t first_block, int32_t last_block,
                  const AttendState& state) {
  const AttendKernels& kernels = *job.kernels;
  const int32_t stride = job.value_stride();
  const int32_t tokens = last - first;
  const int32_t rows = job.num_heads * tokens;
  const int64_t element = static_cast<int64_t>(SizeOf(job.element));
  const int64_t key_bytes = int64_t{kKeyBlock} * job.head_dim * element;
  const int64_t value_bytes = int64_t{kKeyBlock} * stride * element;
  const int64_t logit_bytes = int64_t{kGroupRows} * kKeyBlock * 4;
  const int64_t row_bias_bytes = job.row_bias == nullptr ? 0 : logit_bytes;
  auto* scratch = static_cast<uint8_t*>(Pool::Scratch(1, static_cast<size_t>(key_bytes + value_bytes + logit_bytes + row_bias_bytes)));
  if (scratch == nullptr) return false;
  auto* logits = reinterpret_cast<float*>(scratch + key_bytes + value_bytes);
  float* row_bias = logits + int64_t{kGroupRows} * kKeyBlock;

  PackedBlock block;
  block.keys = scratch;
  block.values = scratch + key_bytes;
  block.key_panel_bytes = key_bytes / (kKeyBlock / kPanel);
  block.value_panel_bytes = value_bytes / (kKeyBlock / kPanel);

  AttendGroup group{};
  group.head_dim = job.head_dim;
  group.head_dim_v = job.head_dim_v;
  const bool is_direct = rows <= kGroupRows && kernels.has_direct(job.head_dim, job.head_dim_v);
  group.keys = is_direct ? nullptr : block.keys;
  group.values = is_direct ? nullptr : block.values;
  group.key_rows = block.key_rows;
  group.value_rows = block.value_rows;
  const float unit = kernels.log_unit;
  group.scale = job.soft_cap > 0.0f ? job.softmax_scale / job.soft_cap : job.softmax_scale * unit;
  group.soft_cap = job.soft_cap > 0.0f ? job.soft_cap * unit : 0.0f;

  for (int32_t b = first_block; b < last_block; b++) {
    const int32_t base = b * kKeyBlock;
    GatherFields(job, base, block);
    group.bias = block.has_bias ? block.bias : nullptr;
    group.positions = job.sliding_window > 0 ? block.positions : nullptr;
    bool packed[kKeyBlock / kPanel] = {};
    for (int32_t row = 0; row < rows; row += kGroupRows) {
      int32_t heads[kGroupRows];
      int32_t at[kGroupRows];
      group.rows = std::min(kGroupRows, rows - row);
      for (int32_t i = 0; i < group.rows; i++) {
        heads[i] = (row + i) / tokens;
        at[i] = first + (row + i) % tokens;
        group.q[i] = job.q + (at[i] * job.q_token_stride + int64_t{heads[i]} * job.head_dim) * element;
        group.m[i] = state.m + row + i;
        group.l[i] = state.l + row + i;
        group.o[i] = state.o + int64_t{row + i} * stride;
        group.logits[i] = job.logits == nullptr ? nullptr : logits + i * kKeyBlock;
      }
      if (!AimGroup(job, block, base, heads, at, group)) continue;
      for (int32_t i = 0; job.row_bias != nullptr && i < group.rows; i++) {
        group.row_bias[i] = job.row_bias->Fill(heads[i], at[i], base, row_bias + i * kKeyBlock);
      }
      if (is_direct && !PointAtRows(job, base, block)) return false;
      for (int32_t panel = group.first_panel; !is_direct && panel < group.last_panel; panel++) {
        if (packed[panel]) continue;
        packed[panel] = true;
        const int32_t index = base / kPanel + panel;
        if (!PackPanel(job.list, kernels, 0, index, block.keys + panel * block.key_panel_bytes)) return false;
        if (!PackPanel(job.list, kernels, 1, index, block.values + panel * block.value_panel_bytes)) return false;
      }
      kernels.group(group);
      if (job.logits != nullptr) ScatterLogits(job, base, heads, group);
    }
  }
  return true;
}

void FinishTokens(const AttendJob& job, int32_t first, int32_t last, const AttendState& state) {
  const int32_t stride = job.value_stride();
  const int32_t tokens = last - first;
  const int64_t element = static_cast<int64_t>(SizeOf(job.element));
  for (int32_t row = 0; row < job.num_heads * tokens; row++) {
    const int32_t head = row / tokens;
    const int32_t token = first + row % tokens;
    const float l = state.l[row];
    const float inverse = l > 0.0f ? 1.0f / l : 0.0f;
    const int64_t at = token * job.out_token_stride + int64_t{head} * job.head_dim_v;
    const float* o = state.o + int64_t{row} * stride;
    if (job.out_f32) {
      float* out = reinterpret_cast<float*>(job.out) + at;
      for (int32_t c = 0; c < job.head_dim_v; c++) out[c] = o[c] * inverse;
    } else {
      job.kernels->finish(o, job.head_dim_v, inverse, job.out + at * element);
    }
    if (job.lse != nullptr) {
      const float m = state.m[row] / job.kernels->log_unit;
      job.lse[token * job.lse_token_stride + head] = l > 0.0f ? m + ExactLog(l) : -INFINITY;
    }
  }
}

bool AttendTile(const AttendJob& job, int32_t first, int32_t last) {
  const int64_t rows = int64_t{job.num_heads} * (last - first);
  const int32_t stride = job.value_stride();
  auto* memory = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(StateFloats(rows, stride)) * sizeof(float)));
  if (memory == nullptr) return false;
  const AttendState state = StateAt(memory, rows, stride);
  ResetState(state, rows, stride);
  int32_t visible = 0;
  for (int32_t t = first; t < last; t++) visible = std::max(visible, VisibleEntries(job, t));
  const int32_t blocks = std::min(job.list.num_blocks(), (visible + kKeyBlock - 1) / kKeyBlock);
  if (!AttendBlocks(job, first, last, 0, blocks, state)) return false;
  FinishTokens(job, first, last, state);
  return true;
}

}  // namespace winnow
