#include "attend_decode.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "pool.h"

namespace winnow {
namespace {

/// Up to this many queries on a list, blocks are spread over the threads and merged; beyond, tiles of queries are.
constexpr int32_t kSplitRows = 48;
/// Queries of several rows that are multiplied with one block at a time: enough that packing it is a small part.
constexpr int32_t kSharedQueries = 48;

std::string HeadName(int32_t row, int32_t head) { return "row " + std::to_string(row) + ", KV head " + std::to_string(head); }

int32_t ListsOf(Scope scope, const AttendDecodeParams& p, int32_t num_kv_heads) {
  return scope == Scope::kRow ? 1 : scope == Scope::kKvHead ? num_kv_heads : p.num_query_heads;
}

Status CheckList(const int32_t* list, int32_t len, int32_t most, int32_t max_len, const std::string& where) {
  if (len < -1 || len > max_len) {
    return Status::Shape("attendDecode.lens", "-1 to " + std::to_string(max_len) + " (" + where + ")",
                         std::to_string(len));
  }
  int32_t least = 0;
  for (int32_t i = 0; i < len; i++) {
    if (list[i] < least || list[i] >= most) {
      return Status::Shape("attendDecode.indices", "ascending indices below " + std::to_string(most) + " (" + where + ")",
                           std::to_string(list[i]) + " at " + std::to_string(i));
    }
    least = list[i] + 1;
  }
  return Status();
}

Status CheckDecode(const Context& context, const AttendDecodeParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  if (p.num_query_heads < 1 || p.num_query_heads % shape.num_kv_heads != 0) {
    return Status::Shape("attendDecode.q",
                         "query heads in multiples of numKvHeads (" + std::to_string(shape.num_kv_heads) + ")",
                         std::to_string(p.num_query_heads));
  }
  if (p.probs != nullptr && p.query_len != 1) {
    return Status::Shape("attendDecode.queryLen", "1 where probs are wanted", std::to_string(p.query_len));
  }
  for (int32_t r = 0; r < p.rows; r++) {
    const Cache& cache = *p.caches[r];
    if (cache.layout().element != context.act()) {
      return Status::Shape("attendDecode.caches", std::string("caches of ") + NameOf(context.act()),
                           NameOf(cache.layout().element));
    }
    for (int32_t h = 0; h < shape.num_kv_heads; h++) {
      const int32_t len = cache.head(p.layer, h).len;
      if (len < p.query_len) {
        return Status::Shape("attendDecode.caches",
                             "at least " + std::to_string(p.query_len) + " slots (" + HeadName(r, h) + ")",
                             std::to_string(len));
      }
      if (p.probs != nullptr && len > p.max_slots) {
        return Status::Shape("attendDecode.probs", "room for " + std::to_string(len) + " slots (" + HeadName(r, h) + ")",
                             std::to_string(p.max_slots));
      }
    }
    if (p.scope == Scope::kAll) continue;
    const int32_t lists = ListsOf(p.scope, p, shape.num_kv_heads);
    for (int32_t s = 0; s < lists; s++) {
      // A list for the whole row must fit its shortest head.
      int32_t shortest = INT32_MAX;
      for (int32_t h = 0; h < shape.num_kv_heads; h++) {
        const bool reads = p.scope == Scope::kRow || h == s / (lists / shape.num_kv_heads);
        if (reads) shortest = std::min(shortest, cache.head(p.layer, h).len);
      }
      const int32_t most = p.page_size == 0 ? shortest : (shortest + p.page_size - 1) / p.page_size;
      const int64_t at = int64_t{r} * lists + s;
      WINNOW_TRY(CheckList(p.indices + at * p.max_len, p.lens[at], most, p.max_len,
                           "row " + std::to_string(r) + ", list " + std::to_string(s)));
    }
  }
  return Status();
}

/// The entries of a checked list; empty when it reads nothing.
EntryList MakeList(const AttendDecodeParams& p, const HeadCache& head, int64_t list) {
  EntryList entries;
  entries.head = &head;
  entries.first_new = head.len - p.query_len;
  entries.num_new = p.query_len;
  entries.kept = entries.first_new;
  if (p.scope == Scope::kAll || p.lens[list] < 0) return entries;
  const int32_t* indices = p.indices + list * p.max_len;
  const int32_t len = p.lens[list];
  if (len == 0) {
    entries.kept = entries.num_new = 0;
    return entries;
  }
  entries.indices = indices;
  entries.page_size = p.page_size;
  if (p.page_size == 0) {
    entries.kept = static_cast<int32_t>(std::lower_bound(indices, indices + len, entries.first_new) - indices);
  } else {
    entries.kept = 0;
    for (int32_t i = 0; i < len; i++) {
      const int64_t begin = int64_t{indices[i]} * p.page_size;
      entries.kept += static_cast<int32_t>(std::clamp<int64_t>(entries.first_new - begin, 0, p.page_size));
    }
  }
  return entries;
}

struct Unit {
  AttendJob job;
  int32_t row;
  int32_t first_head;
  int64_t first_state;  ///< among the partial states, one a block
};

AttendJob MakeJob(const Context& context, const AttendDecodeParams& p, int32_t row, int32_t first_head, int32_t num_heads,
                  const EntryList& list) {
  const LayerGeometry& shape = p.caches[row]->geometry(p.layer);
  AttendJob job;
  job.element = p.caches[row]->layout().element;
  job.kernels = &AttendFor(context.isa, job.element == DType::kBf16);
  const int64_t element = static_cast<int64_t>(SizeOf(job.element));
  job.list = list;
  job.head_dim = shape.head_dim;
  job.head_dim_v = shape.head_dim_v;
  job.num_heads = num_heads;
  job.query_len = p.query_len;
  job.q_token_stride = int64_t{p.num_query_heads} * shape.head_dim;
  job.out_token_stride = int64_t{p.num_query_heads} * shape.head_dim_v;
  job.lse_token_stride = p.num_query_heads;
  const int64_t token = int64_t{row} * p.query_len;
  job.q = static_cast<const uint8_t*>(p.q) + (token * job.q_token_stride + int64_t{first_head} * shape.head_dim) * element;
  job.out = static_cast<uint8_t*>(p.out) + (token * job.out_token_stride + int64_t{first_head} * shape.head_dim_v) * element;
  job.lse = p.lse == nullptr ? nullptr : p.lse + token * job.lse_token_stride + first_head;
  job.softmax_scale = p.softmax_scale;
  job.soft_cap = p.soft_cap;
  job.sliding_window = p.sliding_window;
  if (p.probs != nullptr) {
    job.logits = p.probs + (int64_t{row} * p.num_query_heads + first_head) * p.max_slots;
    job.logits_stride = p.max_slots;
  }
  return job;
}

std::vector<Unit> MakeUnits(const Context& context, const AttendDecodeParams& p) {
  const int32_t num_kv_heads = p.caches[0]->geometry(p.layer).num_kv_heads;
  const int32_t group = p.num_query_heads / num_kv_heads;
  const int32_t lists = p.scope == Scope::kAll ? num_kv_heads : ListsOf(p.scope, p, num_kv_heads);
  const int32_t units_per_row = p.scope == Scope::kQueryHead ? p.num_query_heads : num_kv_heads;
  const int32_t heads = p.num_query_heads / units_per_row;
  std::vector<Unit> units;
  units.reserve(static_cast<size_t>(p.rows) * units_per_row);
  for (int32_t r = 0; r < p.rows; r++) {
    for (int32_t u = 0; u < units_per_row; u++) {
      const int32_t first_head = u * heads;
      const HeadCache& head = p.caches[r]->head(p.layer, first_head / group);
      const int64_t list = int64_t{r} * lists + (p.scope == Scope::kRow ? 0 : u);
      units.push_back({MakeJob(context, p, r, first_head, heads, MakeList(p, head, list)), r, first_head, 0});
    }
  }
  return units;
}

/// Turns the stored logits of one query head into probabilities.
void FinishProbabilities(const Unit& unit, int32_t head, float m, float l) {
  float* row = unit.job.logits + head * unit.job.logits_stride;
  const int32_t len = unit.job.list.head->len;
  if (l > 0.0f) {
    unit.job.kernels->probabilities(row, len, m, 1.0f / l);
  } else {
    std::fill(row, row + len, 0.0f);
  }
}

/// Merges the partial states of a unit's blocks in order and writes its results.
void MergeUnit(const Unit& unit, int32_t query_len, float* partials, float* memory) {
  const AttendJob& job = unit.job;
  const int32_t stride = job.value_stride();
  const int64_t rows = int64_t{job.num_heads} * query_len;
  const AttendState state = StateAt(memory, rows, stride);
  ResetState(state, rows, stride);
  for (int32_t block = 0; block < job.list.num_blocks(); block++) {
    const AttendState part = StateAt(partials + (unit.first_state + block) * StateFloats(rows, stride), rows, stride);
    for (int64_t i = 0; i < rows; i++) {
      job.kernels->merge(part.m[i], part.l[i], part.o + i * stride, stride, state.m + i, state.l + i, state.o + i * stride);
    }
  }
  FinishTokens(job, 0, query_len, state);
  if (job.logits == nullptr) return;
  for (int32_t head = 0; head < job.num_heads; head++) FinishProbabilities(unit, head, state.m[head], state.l[head]);
}

Status NoMemory() { return Status::Fail(Code::kOutOfMemory, "attendDecode", "memory for scratch", "none"); }

void ResetQuery(const BlockQuery& query, int32_t stride) {
  *query.m = -INFINITY;
  *query.l = 0.0f;
  std::fill(query.o, query.o + stride, 0.0f);
}

/// What blocks are computed by, kept between calls.
struct Split {
  std::vector<BlockQuery> queries;
  std::vector<BlockTask> tasks;  ///< `queries` are set when all are there
  std::vector<int64_t> firsts;   ///< of each task among the queries
};

/// One task for each block of each unit; units of consecutive rows that share the block's pages are one task.
void CutBlocks(const AttendDecodeParams& p, const std::vector<Unit>& units, float* partials, Split& split) {
  const int32_t stride = units[0].job.value_stride();
  const int64_t rows = int64_t{units[0].job.num_heads} * p.query_len;
  const int32_t per_row = static_cast<int32_t>(units.size()) / p.rows;
  const auto most = static_cast<int32_t>(std::max<int64_t>(1, kSharedQueries / rows));
  split.queries.clear();
  split.tasks.clear();
  split.firsts.clear();
  const auto add = [&](const Unit& unit, int32_t block) {
    const AttendState state = StateAt(partials + (unit.first_state + block) * StateFloats(rows, stride), rows, stride);
    for (int64_t i = 0; i < rows; i++) {
      split.queries.push_back({&unit.job, static_cast<int32_t>(i / p.query_len), static_cast<int32_t>(i % p.query_len),
                               state.m + i, state.l + i, state.o + i * stride});
    }
  };
  for (int32_t u = 0; u < per_row; u++) {
    for (int32_t r = 0; r < p.rows;) {
      const Unit& unit = units[int64_t{r} * per_row + u];
      // Rows that share a block share those before it.
      int32_t run = 1;
      const auto shares = [&](int32_t other, int32_t block) {
        return SharesBlock(unit.job, units[int64_t{other} * per_row + u].job, block);
      };
      while (run < most && r + run < p.rows && shares(r + run, 0)) run++;
      for (int32_t first = 0; first < run; first++) {
        const Unit& own = units[int64_t{r + first} * per_row + u];
        for (int32_t block = 0; block < own.job.list.num_blocks(); block++) {
          if (first > 0 && shares(r + first, block)) continue;
          split.firsts.push_back(static_cast<int64_t>(split.queries.size()));
          add(own, block);
          for (int32_t other = first + 1; first == 0 && other < run; other++) {
            if (shares(r + other, block)) add(units[int64_t{r + other} * per_row + u], block);
          }
          split.tasks.push_back({nullptr, static_cast<int32_t>(split.queries.size() - split.firsts.back()), block});
        }
      }
      r += run;
    }
  }
  for (size_t t = 0; t < split.tasks.size(); t++) split.tasks[t].queries = split.queries.data() + split.firsts[t];
}

Status RunSplit(const AttendDecodeParams& p, std::vector<Unit>& units) {
  const int32_t stride = units[0].job.value_stride();
  const int64_t rows = int64_t{units[0].job.num_heads} * p.query_len;
  int64_t states = 0;
  for (Unit& unit : units) {
    unit.first_state = states;
    states += unit.job.list.num_blocks();
  }
  const size_t floats = static_cast<size_t>(states * StateFloats(rows, stride));
  auto* partials = static_cast<float*>(Pool::Scratch(3, std::max<size_t>(64, floats * sizeof(float))));
  if (partials == nullptr) return NoMemory();
  static thread_local Split kept;
  Split& split = kept;
  CutBlocks(p, units, partials, split);
  std::atomic<bool> has_memory{true};
  Pool& pool = Pool::Instance();
  // A few blocks of one head at a time where there are many, so that a thread reads on where it was.
  const auto tasks = static_cast<int64_t>(split.tasks.size());
  const int64_t together = std::clamp<int64_t>(tasks / (int64_t{pool.threads()} * 8), 1, 8);
  pool.ParallelFor((tasks + together - 1) / together, [&](int64_t chunk) {
    const int64_t end = std::min(tasks, (chunk + 1) * together);
    for (int64_t t = chunk * together; t < end; t++) {
      // The other threads are about to take a chunk each.
      const int64_t next = t + 1 < end ? t + 1 : (chunk + pool.threads()) * together;
      for (int32_t i = 0; i < split.tasks[t].count; i++) ResetQuery(split.tasks[t].queries[i], stride);
      if (!AttendTask(split.tasks[t], next < tasks ? &split.tasks[next] : nullptr)) has_memory = false;
    }
  });
  if (!has_memory) return NoMemory();
  pool.ParallelRanges(static_cast<int64_t>(units.size()), 8, [&](int64_t begin, int64_t end) {
    auto* memory = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(StateFloats(rows, stride)) * sizeof(float)));
    if (memory == nullptr) has_memory = false;
    for (int64_t i = begin; memory != nullptr && i < end; i++) MergeUnit(units[i], p.query_len, partials, memory);
  });
  return has_memory ? Status() : NoMemory();
}

Status RunTiles(const AttendDecodeParams& p, const std::vector<Unit>& units) {
  const int32_t tokens = std::max(kGroupRows, 384 / units[0].job.num_heads / kGroupRows * kGroupRows);
  const int32_t tiles = (p.query_len + tokens - 1) / tokens;
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelFor(static_cast<int64_t>(units.size()) * tiles, [&](int64_t chunk) {
    const int32_t tile = tiles - 1 - static_cast<int32_t>(chunk / static_cast<int64_t>(units.size()));
    const AttendJob& job = units[chunk % static_cast<int64_t>(units.size())].job;
    if (!AttendTile(job, tile * tokens, std::min(p.query_len, (tile + 1) * tokens))) has_memory = false;
  });
  return has_memory ? Status() : NoMemory();
}

}  // namespace

Status AttendDecode(const Context& context, const AttendDecodeParams& p) {
  if (p.rows == 0 || p.query_len == 0) return Status();
  WINNOW_TRY(CheckDecode(context, p));
  std::vector<Unit> units = MakeUnits(context, p);
  if (p.probs != nullptr) {
    const int64_t count = p.max_slots;
    Pool::Instance().ParallelRanges(int64_t{p.rows} * p.num_query_heads, 8, [&](int64_t begin, int64_t end) {
      std::fill(p.probs + begin * count, p.probs + end * count, -INFINITY);
    });
  }
  const bool is_split = p.query_len == 1 || units[0].job.num_heads * p.query_len <= kSplitRows;
  return is_split ? RunSplit(p, units) : RunTiles(p, units);
}

}  // namespace winnow
