#include "attend_task.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "pool.h"

namespace winnow {
namespace {

constexpr int32_t kPanels = kKeyBlock / kPanel;
static_assert(kPanel == kPageSize, "a page of the cache is a panel");

/// One block of a list: where its rows are, and their copy in panels.
struct Block {
  const void* key_rows[kKeyBlock];
  const void* value_rows[kKeyBlock];
  const void* key_panels[kPanels];
  const void* value_panels[kPanels];
  uint8_t* keys;
  uint8_t* values;
  int64_t key_panel_bytes;
  int64_t value_panel_bytes;
  alignas(64) float bias[kKeyBlock];
  alignas(64) int32_t positions[kKeyBlock];
  int32_t newest[kPanels];  ///< largest position of each panel
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

Sight SightOf(const AttendJob& job, int32_t head, int32_t token, int32_t base) {
  const int32_t visible = job.VisibleAt(token);
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

void GatherFields(const AttendJob& job, int32_t base, Block& block) {
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
  for (int32_t panel = 0; panel < kPanels; panel++) {
    const int32_t* at = block.positions + panel * kPanel;
    block.newest[panel] = *std::max_element(at, at + kPanel);
  }
}

int32_t PositionOf(const HeadCache& head, int32_t slot) {
  return head.pages[slot / kPageSize]->positions[slot % kPageSize];
}

/// Fills what the queries of a group see of one block; false when that is nothing.
bool AimGroup(const BlockQuery* queries, const Block& block, int32_t base, AttendGroup& group) {
  int32_t begin = kKeyBlock;
  int32_t end = 0;
  for (int32_t i = 0; i < group.rows; i++) {
    const AttendJob& job = *queries[i].job;
    Sight sight = SightOf(job, queries[i].head, queries[i].token, base);
    group.limit[i] = sight.limit;
    group.hole_begin[i] = sight.hole_begin;
    group.hole_end[i] = sight.hole_end;
    if (sight.begin >= sight.end) continue;
    if (job.sliding_window > 0) {
      const int64_t least = int64_t{PositionOf(*job.list.head, job.OwnSlot(queries[i].token))} - job.sliding_window + 1;
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

/// The page that is panel `panel` of a list, or null: not 64 entries of one page whose keys are read from it.
const Page* PageOfPanel(const EntryList& list, int32_t panel) {
  const int32_t entry = panel * kPanel;
  if (list.keys != nullptr || entry + kPanel > list.size()) return nullptr;
  const int32_t slot = list.SlotOf(entry);
  return list.RunAt(entry, slot, kPanel) == kPanel ? list.head->pages[slot / kPageSize] : nullptr;
}

bool HasElements(const Page& page) { return page.planes[0].format.bits == 0 && page.planes[1].format.bits == 0; }

/// Where the rows of a block lie, for a group that is alone on it. False: out of memory.
bool PointAtRows(const EntryList& list, int32_t index, Block& block, AttendGroup& group) {
  const int32_t base = index * kKeyBlock;
  group.key_panels = block.key_panels;
  group.value_panels = block.value_panels;
  for (int32_t panel = group.first_panel; panel < group.last_panel; panel++) {
    const Page* page = PageOfPanel(list, index * kPanels + panel);
    if (page == nullptr || !HasElements(*page)) {
      group.key_panels = group.value_panels = nullptr;
      break;
    }
    block.key_panels[panel] = page->planes[0].data;
    block.value_panels[panel] = page->planes[1].data;
  }
  if (group.key_panels != nullptr) return true;
  const int32_t count = std::min(kKeyBlock, list.size() - base);
  const int32_t end = (count + kPanel - 1) / kPanel * kPanel;
  for (int32_t e = count; e < end; e++) block.key_rows[e] = block.value_rows[e] = kZeroRow;
  RowReader keys(list, 0);
  RowReader values(list, 1);
  return keys.Read(base, count, block.key_rows) && values.Read(base, count, block.value_rows);
}

/// The keys that a task begins with, if they lie together; asks for what says where the others are.
const void* FirstKeys(const BlockTask& task) {
  const EntryList& list = task.queries->job->list;
  for (int32_t panel = 0; list.is_dense() && panel < kPanels; panel++) {
    const int32_t page = task.block * kPanels + panel;
    if (page < PagesFor(list.head->len)) __builtin_prefetch(list.head->pages[page]);
  }
  const Page* first = PageOfPanel(list, task.block * kPanels);
  return first == nullptr || !HasElements(*first) ? nullptr : first->planes[0].data;
}

void ScatterLogits(const BlockQuery* queries, int32_t base, const AttendGroup& group) {
  for (int32_t i = 0; i < group.rows; i++) {
    const AttendJob& job = *queries[i].job;
    const int32_t count = std::min(kKeyBlock, job.list.size() - base);
    float* to = job.logits + queries[i].head * job.logits_stride;
    for (int32_t e = 0; e < count; e++) to[job.list.SlotOf(base + e)] = group.logits[i][e];
  }
}

}  // namespace

bool AttendTask(const BlockTask& task, const BlockTask* next) {
  const AttendJob& job = *task.queries->job;
  const AttendKernels& kernels = *job.kernels;
  const int64_t element = static_cast<int64_t>(SizeOf(job.element));
  const int64_t key_bytes = int64_t{kKeyBlock} * job.head_dim * element;
  const int64_t value_bytes = int64_t{kKeyBlock} * job.value_stride() * element;
  const int64_t logit_bytes = int64_t{kGroupRows} * kKeyBlock * 4;
  const int64_t row_bias_bytes = job.row_bias == nullptr ? 0 : logit_bytes;
  auto* scratch = static_cast<uint8_t*>(Pool::Scratch(1, static_cast<size_t>(key_bytes + value_bytes + logit_bytes + row_bias_bytes)));
  if (scratch == nullptr) return false;
  auto* logits = reinterpret_cast<float*>(scratch + key_bytes + value_bytes);
  float* row_bias = logits + int64_t{kGroupRows} * kKeyBlock;

  Block block;
  block.keys = scratch;
  block.values = scratch + key_bytes;
  block.key_panel_bytes = key_bytes / kPanels;
  block.value_panel_bytes = value_bytes / kPanels;
  const int32_t base = task.block * kKeyBlock;
  GatherFields(job, base, block);

  AttendGroup group{};
  group.head_dim = job.head_dim;
  group.head_dim_v = job.head_dim_v;
  const bool is_direct = task.count <= kGroupRows && kernels.has_direct(job.head_dim, job.head_dim_v);
  group.keys = is_direct ? nullptr : block.keys;
  group.values = is_direct ? nullptr : block.values;
  group.key_rows = block.key_rows;
  group.value_rows = block.value_rows;
  group.next_keys = is_direct && next != nullptr ? FirstKeys(*next) : nullptr;
  const float unit = kernels.log_unit;
  group.scale = job.soft_cap > 0.0f ? job.softmax_scale / job.soft_cap : job.softmax_scale * unit;
  group.soft_cap = job.soft_cap > 0.0f ? job.soft_cap * unit : 0.0f;
  group.bias = block.has_bias ? block.bias : nullptr;
  group.positions = job.sliding_window > 0 ? block.positions : nullptr;
  bool packed[kPanels] = {};
  for (int32_t row = 0; row < task.count; row += kGroupRows) {
    const BlockQuery* queries = task.queries + row;
    group.rows = std::min(kGroupRows, task.count - row);
    for (int32_t i = 0; i < group.rows; i++) {
      const BlockQuery& query = queries[i];
      group.q[i] = query.job->q + (query.token * job.q_token_stride + int64_t{query.head} * job.head_dim) * element;
      group.m[i] = query.m;
      group.l[i] = query.l;
      group.o[i] = query.o;
      group.logits[i] = query.job->logits == nullptr ? nullptr : logits + i * kKeyBlock;
    }
    if (!AimGroup(queries, block, base, group)) continue;
    for (int32_t i = 0; job.row_bias != nullptr && i < group.rows; i++) {
      group.row_bias[i] = job.row_bias->Fill(queries[i].head, queries[i].token, base, row_bias + i * kKeyBlock);
    }
    if (is_direct && !PointAtRows(job.list, task.block, block, group)) return false;
    for (int32_t panel = group.first_panel; !is_direct && panel < group.last_panel; panel++) {
      if (packed[panel]) continue;
      packed[panel] = true;
      const int32_t index = task.block * kPanels + panel;
      if (!PackPanel(job.list, kernels, 0, index, block.keys + panel * block.key_panel_bytes)) return false;
      if (!PackPanel(job.list, kernels, 1, index, block.values + panel * block.value_panel_bytes)) return false;
    }
    kernels.group(group);
    if (job.logits != nullptr) ScatterLogits(queries, base, group);
  }
  return true;
}

bool SharesBlock(const AttendJob& a, const AttendJob& b, int32_t block) {
  const int32_t end = (block + 1) * kKeyBlock;
  if (!a.list.is_dense() || !b.list.is_dense() || a.list.size() < end || b.list.size() < end) return false;
  // Entries of a dense list are slots: below the end none is missing.
  const auto first = a.list.head->pages.begin() + block * kPanels;
  return std::equal(first, first + kPanels, b.list.head->pages.begin() + block * kPanels);
}

}  // namespace winnow
