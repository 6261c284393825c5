#include "cache_merge.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cache.h"
#include "exact_log.h"
#include "pool.h"

namespace winnow {
namespace {

constexpr int32_t kMaxDim = 256;

/// Weighted sums over one target and its entries, for one plane.
class Blend {
 public:
  Blend(const MergeKernels& kernels, int32_t dim, bool as_direction) : kernels_(kernels), dim_(dim), as_direction_(as_direction) {
    std::fill(sum_, sum_ + dim, 0.0f);
  }
  void Add(const float* x, float w) {
    weight_ += w;
    if (!as_direction_) {
      kernels_.add(x, w, dim_, sum_);
      return;
    }
    const float norm = kernels_.norm(x, dim_);
    norms_ = __builtin_fmaf(w, norm, norms_);
    if (norm > 0.0f) kernels_.add(x, w / norm, dim_, sum_);
  }
  /// The sum as it is.
  const float* sum() const { return sum_; }
  const float* Mean() {
    if (!as_direction_) {
      kernels_.scale(sum_, 1.0f / weight_, dim_);
      return sum_;
    }
    const float length = kernels_.norm(sum_, dim_);
    kernels_.scale(sum_, length > 0.0f ? norms_ / weight_ / length : 0.0f, dim_);
    return sum_;
  }

 private:
  const MergeKernels& kernels_;
  int32_t dim_;
  bool as_direction_;
  float weight_ = 0.0f;
  float norms_ = 0.0f;
  alignas(64) float sum_[kMaxDim];
};

/// Entries of one head by target, in the order given.
struct Entry {
  int32_t into;
  int32_t from;
  float weight;
};

}  // namespace

Status Cache::Merge(const Context& context, const MergeParams& p) {
  const LayerGeometry& shape = geometry(p.layer);
  for (int32_t h = 0; h < shape.num_kv_heads; h++) {
    const int32_t len = head(p.layer, h).len;
    const std::string where = " in KV head " + std::to_string(h);
    if (p.lens[h] < -1 || p.lens[h] > p.stride) {
      return Status::Shape("cacheMerge.lens", "-1 to " + std::to_string(p.stride) + " entries", std::to_string(p.lens[h]));
    }
    std::vector<uint8_t> is_source(len, 0);
    for (int32_t i = 0; i < p.lens[h]; i++) {
      const int32_t from = p.from[h * p.stride + i];
      if (from < (i == 0 ? 0 : p.from[h * p.stride + i - 1]) || from >= len) {
        return Status::Shape("cacheMerge.from", "slots below " + std::to_string(len) + " that do not descend" + where, std::to_string(from));
      }
      is_source[from] = 1;
    }
    for (int32_t i = 0; i < p.lens[h]; i++) {
      const int32_t into = p.into[h * p.stride + i];
      const float weight = p.weight[h * p.stride + i];
      if (into < -1 || into >= len || (into >= 0 && is_source[into])) {
        return Status::Shape("cacheMerge.into", "-1 or slots below " + std::to_string(len) + " that are no source" + where, std::to_string(into));
      }
      if (!(weight >= 0.0f && weight < INFINITY)) {
        return Status::Shape("cacheMerge.weight", "finite weights of 0 or more" + where, std::to_string(weight));
      }
    }
  }
  const MergeKernels& kernels = Kernels<MergeKernels>(context.isa);
  Pool::Instance().ParallelFor(shape.num_kv_heads, [&](int64_t task) {
    const auto h = static_cast<int32_t>(task);
    HeadCache& head = heads_[shape.first_head + h];
    std::vector<Entry> entries;
    for (int32_t i = 0; i < p.lens[h]; i++) {
      const int64_t at = h * p.stride + i;
      if (p.into[at] >= 0 && p.weight[at] > 0.0f) entries.push_back({p.into[at], p.from[at], p.weight[at]});
    }
    // Counts first: each source gives its own to its first entry that counts.
    std::vector<int32_t> given(entries.size(), 0);
    for (size_t i = 0; i < entries.size(); i++) {
      const int32_t from = entries[i].from;
      if (i == 0 || entries[i - 1].from != from) given[i] = head.pages[from / kPageSize]->counts[from % kPageSize];
    }
    std::vector<size_t> order(entries.size());
    for (size_t i = 0; i < order.size(); i++) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return entries[a].into < entries[b].into; });
    alignas(64) float row[kMaxDim];
    const auto read = [&](int32_t slot, int32_t what) {
      ReadRows(*head.pages[slot / kPageSize], what, slot % kPageSize, 1, row, kMaxDim);
      return row;
    };
    for (size_t begin = 0; begin < order.size();) {
      const int32_t target = entries[order[begin]].into;
      size_t end = begin;
      while (end < order.size() && entries[order[end]].into == target) end++;
      Page& page = OwnPage(head, target / kPageSize, true);
      const int32_t slot = target % kPageSize;
      const auto count = static_cast<float>(page.counts[slot]);
      for (int32_t what = 0; what < 2; what++) {
        if (what == 0 && p.keys == MergeKeys::kNone) continue;
        const bool adds = what == 1 && p.values == MergeValues::kAdd;
        Blend blend(kernels, page.dims[what], what == 0 && p.keys == MergeKeys::kDirection);
        blend.Add(read(target, what), adds ? 1.0f : count);
        for (size_t i = begin; i < end; i++) blend.Add(read(entries[order[i]].from, what), entries[order[i]].weight);
        WriteRow(page, what, slot, adds ? blend.sum() : blend.Mean());
      }
      for (size_t i = begin; i < end; i++) page.counts[slot] += given[order[i]];
      if (p.bias == MergeBias::kLogCount) {
        page.bias[slot] = page.counts[slot] > 0 ? ExactLog(static_cast<float>(page.counts[slot])) : 0.0f;
        page.has_bias = page.has_bias || page.bias[slot] != 0.0f;
      }
      begin = end;
    }
    for (int32_t i = 0; i < p.lens[h]; i++) {
      const int32_t from = p.from[h * p.stride + i];
      OwnPage(head, from / kPageSize, false).counts[from % kPageSize] = 0;
    }
  });
  return Status();
}

}  // namespace winnow
