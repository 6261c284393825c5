#include "slot_scores.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "numerics.h"
#include "pool.h"

namespace winnow {
namespace {

constexpr int32_t kMaxDim = 256;

float ElementOf(const void* x, DType type, int64_t at) {
  return type == DType::kBf16 ? FromBf16(static_cast<const Bf16*>(x)[at]) : static_cast<const float*>(x)[at];
}

/// Scores [rows * num_query_heads][max_len], filled by `score(task, line)`, then reduced over query heads.
template <class Score>
Status Reduced(const char* op, int32_t rows, int32_t query_heads, int32_t kv_heads, int64_t max_len, GqaReduce gqa, float* out,
               Score&& score) {
  const size_t floats = static_cast<size_t>(rows) * query_heads * max_len;
  const AlignedBytes memory = AllocateAligned(std::max<size_t>(64, floats * sizeof(float)));
  if (memory == nullptr) return Status::Fail(Code::kOutOfMemory, op, "memory for scratch", "none");
  auto* lines = reinterpret_cast<float*>(memory.get());
  std::atomic<bool> has_memory{true};
  Pool::Instance().ParallelFor(int64_t{rows} * query_heads, [&](int64_t task) {
    if (!score(task, lines + task * max_len)) has_memory = false;
  });
  if (!has_memory) return Status::Fail(Code::kOutOfMemory, op, "memory for scratch", "none");
  const int32_t lists = ListsAfter(gqa, query_heads, kv_heads);
  for (int64_t row = 0; row < rows; row++) {
    ReduceGroups(lines + row * query_heads * max_len, query_heads, kv_heads, max_len, max_len, gqa, out + row * lists * max_len);
  }
  return Status();
}

Status CheckHeads(const char* op, int32_t query_heads, int32_t kv_heads) {
  if (kv_heads >= 1 && query_heads >= 1 && query_heads % kv_heads == 0) return Status();
  return Status::Shape(std::string(op) + ".numQueryHeads", "a multiple of numKvHeads (" + std::to_string(kv_heads) + ")",
                       std::to_string(query_heads));
}

}  // namespace

Status ChannelScores(const Context& context, const ChannelScoresParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t dim = shape.head_dim;
  WINNOW_TRY(CheckHeads("channelScores", p.num_query_heads, shape.num_kv_heads));
  for (int64_t list = 0; list < int64_t{p.rows} * p.lists; list++) {
    if (p.lens[list] < -1 || p.lens[list] > std::min<int64_t>(p.stride, dim)) {
      return Status::Shape("channelScores.lens", "-1 to " + std::to_string(std::min<int64_t>(p.stride, dim)) + " channels",
                           std::to_string(p.lens[list]));
    }
    for (int32_t i = 0; i < p.lens[list]; i++) {
      const int32_t channel = p.channels[list * p.stride + i];
      if (channel < (i == 0 ? 0 : p.channels[list * p.stride + i - 1] + 1) || channel >= dim) {
        return Status::Shape("channelScores.channels", "ascending channels below " + std::to_string(dim), std::to_string(channel));
      }
    }
  }
  const SlotScoresKernels& kernels = Kernels<SlotScoresKernels>(context.isa);
  const int32_t group = p.num_query_heads / shape.num_kv_heads;
  return Reduced("channelScores", p.rows, p.num_query_heads, shape.num_kv_heads, p.max_len, p.gqa, p.out, [&](int64_t task, float* line) {
    const int64_t row = task / p.num_query_heads;
    const auto query_head = static_cast<int32_t>(task % p.num_query_heads);
    const HeadCache& head = p.caches[row]->head(p.layer, query_head / group);
    const int64_t list = row * p.lists + (p.lists == 1 ? 0 : query_head / (p.num_query_heads / p.lists));
    int32_t all[kMaxDim];
    for (int32_t c = 0; c < dim; c++) all[c] = c;
    const bool whole = p.lens[list] < 0;
    const int32_t* channels = whole ? all : p.channels + list * p.stride;
    const int32_t count = whole ? dim : p.lens[list];
    std::fill(line, line + p.max_len, -INFINITY);
    float q[kMaxDim];
    float page_scores[kPageSize];
    for (size_t index = 0; index < head.pages.size(); index++) {
      const Page& page = *head.pages[index];
      const int32_t used = UsedSlots(head.len, static_cast<int32_t>(index));
      const Plane& plane = page.planes[0];
      const float* rows = reinterpret_cast<const float*>(plane.data);
      bool is_bf16 = page.element == DType::kBf16;
      if (plane.format.bits != 0) {
        auto* read = static_cast<float*>(Pool::Scratch(0, static_cast<size_t>(kPageSize) * dim * sizeof(float)));
        if (read == nullptr) return false;
        ReadRows(page, 0, 0, used, read, dim);
        rows = read;
        is_bf16 = false;
      }
      float* to = line + static_cast<int64_t>(index) * kPageSize;
      for (int32_t t = 0; t < p.query_len; t++) {
        const int64_t at = ((row * p.query_len + t) * p.num_query_heads + query_head) * dim;
        for (int32_t k = 0; k < count; k++) q[k] = ElementOf(p.q, p.q_type, at + channels[k]);
        if (is_bf16) kernels.gathered_bf16(q, channels, count, reinterpret_cast<const Bf16*>(plane.data), dim, used, page_scores);
        else kernels.gathered_f32(q, channels, count, rows, dim, used, page_scores);
        for (int32_t i = 0; i < used; i++) to[i] = page_scores[i] > to[i] ? page_scores[i] : to[i];
      }
    }
    return true;
  });
}

Status PlaneScores(const Context& context, const PlaneScoresParams& p) {
  WINNOW_TRY(CheckHeads("planeScores", p.num_query_heads, p.num_kv_heads));
  for (int64_t head = 0; head < int64_t{p.rows} * p.num_kv_heads; head++) {
    if (p.used[head] < 0 || p.used[head] > std::min(p.capacity, p.max_len)) {
      return Status::Shape("planeScores.used", "0 to " + std::to_string(std::min(p.capacity, p.max_len)) + " entries",
                           std::to_string(p.used[head]));
    }
  }
  const SlotScoresKernels& kernels = Kernels<SlotScoresKernels>(context.isa);
  const int32_t group = p.num_query_heads / p.num_kv_heads;
  return Reduced("planeScores", p.rows, p.num_query_heads, p.num_kv_heads, p.max_len, p.gqa, p.out, [&](int64_t task, float* line) {
    const int64_t row = task / p.num_query_heads;
    const int64_t query_head = task % p.num_query_heads;
    const int64_t head = row * p.num_kv_heads + query_head / group;
    const int32_t used = p.used[head];
    auto* scores = static_cast<float*>(Pool::Scratch(0, std::max<size_t>(64, static_cast<size_t>(used) * sizeof(float))));
    auto* q = static_cast<float*>(Pool::Scratch(1, static_cast<size_t>(p.width) * sizeof(float)));
    if (scores == nullptr || q == nullptr) return false;
    std::fill(line, line + p.max_len, -INFINITY);
    for (int32_t t = 0; t < p.query_len; t++) {
      const int64_t at = ((row * p.query_len + t) * p.num_query_heads + query_head) * p.width;
      for (int32_t c = 0; c < p.width; c++) q[c] = ElementOf(p.q, p.q_type, at + c);
      kernels.dots(q, p.plane + head * p.capacity * p.width, p.width, used, p.width, scores);
      for (int32_t i = 0; i < used; i++) line[i] = scores[i] > line[i] ? scores[i] : line[i];
    }
    return true;
  });
}

Status Project(const Context& context, const ProjectParams& p) {
  WINNOW_TRY(CheckHeads("project", p.heads, p.bases));
  const SlotScoresKernels& kernels = Kernels<SlotScoresKernels>(context.isa);
  const int32_t group = p.heads / p.bases;
  const auto basis_of = [&](int64_t head) { return p.basis + head / group * p.rank * p.dim; };
  if (p.caches == nullptr) {
    Pool::Instance().ParallelRanges(int64_t{p.rows} * p.heads, 4, [&](int64_t begin, int64_t end) {
      float x[kMaxDim];
      for (int64_t task = begin; task < end; task++) {
        for (int32_t c = 0; c < p.dim; c++) x[c] = ElementOf(p.x, p.x_type, task * p.dim + c);
        kernels.dots(x, basis_of(task % p.heads), p.dim, p.rank, p.dim, p.out + task * p.rank);
      }
    });
    return Status();
  }
  for (int32_t row = 0; row < p.rows; row++) {
    for (int32_t h = 0; h < p.heads; h++) {
      const int32_t len = p.caches[row]->head(p.layer, h).len;
      if (p.last < 0 || p.last > len) {
        return Status::Shape("project.last", "0 to " + std::to_string(len) + " slots of KV head " + std::to_string(h), std::to_string(p.last));
      }
    }
  }
  // Heads are cut in runs of pages, so that one long head keeps every thread busy.
  const int64_t pages = (p.max_len + kPageSize - 1) / kPageSize;
  Pool::Instance().ParallelRanges(int64_t{p.rows} * p.heads * pages, 4, [&](int64_t begin, int64_t end) {
    float row[kMaxDim];
    for (int64_t task = begin; task < end; task++) {
      const int64_t list = task / pages;
      const HeadCache& head = p.caches[list / p.heads]->head(p.layer, static_cast<int32_t>(list % p.heads));
      const int32_t first = p.last > 0 ? head.len - p.last : 0;
      const int64_t count = std::min<int64_t>(kPageSize, head.len - first - task % pages * kPageSize);
      for (int64_t i = 0; i < count; i++) {
        const auto at = static_cast<int32_t>(task % pages * kPageSize + i);
        const int32_t slot = first + at;
        ReadRows(*head.pages[slot / kPageSize], p.what, slot % kPageSize, 1, row, kMaxDim);
        kernels.dots(row, basis_of(list % p.heads), p.dim, p.rank, p.dim, p.out + (list * p.max_len + at) * p.rank);
      }
    }
  });
  return Status();
}

}  // namespace winnow
