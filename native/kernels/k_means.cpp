#include "k_means.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cache_merge.h"
#include "pool.h"
#include "slot_scores.h"

namespace winnow {
namespace {

constexpr int32_t kPanel = 16;
/// Slots that one task assigns.
constexpr int32_t kChunk = 128;

/// Uniform [0, 1) from a hash, the splitmix64 finaliser twice.
double Uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  uint64_t z = seed * 0x9e3779b97f4a7c15ull + stream * 0xd1b54a32d192ed03ull + index + 1;
  for (int round = 0; round < 2; round++) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
  }
  return static_cast<double>(z >> 11) * 0x1p-53;
}

/// One head: rows [n][dim] and its centroids.
struct Clustering {
  const KMeansKernels& nearest;
  const MergeKernels& rows;
  const SlotScoresKernels& dots;
  AlignedBytes memory;
  float* x;
  int32_t n;
  int32_t dim;
  int32_t k;
  float* centroids;
  int32_t* assignment;
  int32_t* sizes;
  std::vector<float> panels;
  std::vector<float> offsets;

  void Copy(int32_t from, int32_t to) { std::memcpy(centroids + int64_t{to} * dim, x + int64_t{from} * dim, dim * sizeof(float)); }

  void SeedSpaced() {
    for (int32_t i = 0; i < k; i++) Copy(static_cast<int32_t>((2 * int64_t{i} + 1) * n / (2 * int64_t{k})), i);
  }

  void SeedPlusPlus(uint64_t seed, uint64_t stream) {
    std::vector<double> distance(n, 0.0);
    std::vector<float> difference(dim);
    Copy(std::min(n - 1, static_cast<int32_t>(Uniform(seed, stream, 0) * n)), 0);
    for (int32_t i = 1; i < k; i++) {
      const float* last = centroids + int64_t{i - 1} * dim;
      double total = 0;
      for (int32_t s = 0; s < n; s++) {
        for (int32_t c = 0; c < dim; c++) difference[c] = x[int64_t{s} * dim + c] - last[c];
        const double norm = rows.norm(difference.data(), dim);
        if (i == 1 || norm * norm < distance[s]) distance[s] = norm * norm;
        total += distance[s];
      }
      const double wanted = Uniform(seed, stream, i) * total;
      double sum = 0;
      int32_t chosen = 0;
      for (int32_t s = 0; s < n; s++) {
        if (distance[s] == 0.0) continue;
        chosen = s;
        sum += distance[s];
        if (sum > wanted) break;
      }
      Copy(chosen, i);
    }
  }

  void PackCentroids() {
    for (int32_t i = 0; i < k; i++) {
      const float* centroid = centroids + int64_t{i} * dim;
      const int64_t at = int64_t{i / kPanel} * dim * kPanel + i % kPanel;
      for (int32_t c = 0; c < dim; c++) panels[at + int64_t{c} * kPanel] = centroid[c];
      float square = 0;
      dots.dots(centroid, centroid, dim, 1, dim, &square);
      offsets[i] = 0.5f * square;
    }
  }

  void Assign(int32_t begin, int32_t end) {
    for (int32_t s = begin; s < end; s++) {
      assignment[s] = nearest.nearest(x + int64_t{s} * dim, panels.data(), offsets.data(), k, dim);
    }
  }

  void Count() {
    std::fill(sizes, sizes + k, 0);
    for (int32_t s = 0; s < n; s++) sizes[assignment[s]]++;
  }

  void Update() {
    for (int32_t i = 0; i < k; i++) {
      if (sizes[i] > 0) std::fill(centroids + int64_t{i} * dim, centroids + int64_t{i + 1} * dim, 0.0f);
    }
    for (int32_t s = 0; s < n; s++) rows.add(x + int64_t{s} * dim, 1.0f, dim, centroids + int64_t{assignment[s]} * dim);
    for (int32_t i = 0; i < k; i++) {
      if (sizes[i] > 0) rows.scale(centroids + int64_t{i} * dim, 1.0f / static_cast<float>(sizes[i]), dim);
    }
  }
};

}  // namespace

Status KMeans(const Context& context, const KMeansParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t heads = shape.num_kv_heads;
  const int32_t dim = p.what == 0 ? shape.head_dim : shape.head_dim_v;
  std::vector<Clustering> all;
  std::vector<int64_t> first_chunk = {0};
  for (int64_t list = 0; list < int64_t{p.rows} * heads; list++) {
    const HeadCache& head = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads));
    int32_t* assignment = p.assignment + list * p.max_len;
    std::fill(assignment + head.len, assignment + p.max_len, -1);
    AlignedBytes memory = AllocateAligned(std::max<size_t>(64, static_cast<size_t>(head.len) * dim * sizeof(float)));
    if (memory == nullptr) return Status::Fail(Code::kOutOfMemory, "kMeans", "memory for scratch", "none");
    auto* x = reinterpret_cast<float*>(memory.get());
    const int32_t k = std::min(p.clusters, head.len);
    const auto padded = static_cast<size_t>((k + kPanel - 1) / kPanel * kPanel);
    all.push_back({Kernels<KMeansKernels>(context.isa), Kernels<MergeKernels>(context.isa),
                   Kernels<SlotScoresKernels>(context.isa), std::move(memory), x, head.len, dim, k,
                   p.centroids + list * p.clusters * dim, assignment, p.sizes + list * p.clusters,
                   std::vector<float>(padded * dim), std::vector<float>(padded)});
    first_chunk.push_back(first_chunk.back() + (head.len + kChunk - 1) / kChunk);
  }
  Pool& pool = Pool::Instance();
  const auto lists = static_cast<int64_t>(all.size());
  pool.ParallelFor(lists, [&](int64_t list) {
    const auto h = static_cast<int32_t>(list % heads);
    const HeadCache& head = p.caches[list / heads]->head(p.layer, h);
    Clustering& own = all[list];
    if (own.n == 0) return;
    for (size_t index = 0; index < head.pages.size(); index++) {
      ReadRows(*head.pages[index], p.what, 0, UsedSlots(head.len, static_cast<int32_t>(index)),
               own.x + static_cast<int64_t>(index) * kPageSize * dim, dim);
    }
    if (p.seeding == Seeding::kSpaced) own.SeedSpaced();
    else own.SeedPlusPlus(p.seed, static_cast<uint64_t>(p.layer) << 20 | static_cast<uint64_t>(h));
    own.PackCentroids();
  });
  // Slots of one head are shared out too: a model with one KV head would else keep one core busy.
  for (int32_t round = 0; round <= p.iterations; round++) {
    pool.ParallelFor(first_chunk.back(), [&](int64_t chunk) {
      const int64_t list = std::upper_bound(first_chunk.begin(), first_chunk.end(), chunk) - first_chunk.begin() - 1;
      const auto begin = static_cast<int32_t>(chunk - first_chunk[list]) * kChunk;
      all[list].Assign(begin, std::min(all[list].n, begin + kChunk));
    });
    pool.ParallelFor(lists, [&](int64_t list) {
      Clustering& own = all[list];
      if (own.n == 0) return;
      own.Count();
      if (round == p.iterations) return;
      own.Update();
      own.PackCentroids();
    });
  }
  return Status();
}

Status GroupMeans(const Context& context, const GroupMeansParams& p) {
  const LayerGeometry& shape = p.caches[0]->geometry(p.layer);
  const int32_t heads = shape.num_kv_heads;
  const int32_t dim = p.what == 0 ? shape.head_dim : shape.head_dim_v;
  for (int64_t list = 0; list < int64_t{p.rows} * heads; list++) {
    const int32_t len = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads)).len;
    for (int32_t s = 0; s < len; s++) {
      const int32_t group = p.assignment[list * p.max_len + s];
      if (group < -1 || group >= p.groups) {
        return Status::Shape("groupMeans.assignment", "-1 to " + std::to_string(p.groups - 1), std::to_string(group));
      }
    }
  }
  const MergeKernels& kernels = Kernels<MergeKernels>(context.isa);
  Pool::Instance().ParallelFor(int64_t{p.rows} * heads, [&](int64_t list) {
    const HeadCache& head = p.caches[list / heads]->head(p.layer, static_cast<int32_t>(list % heads));
    float* out = p.out + list * p.groups * dim;
    std::fill(out, out + int64_t{p.groups} * dim, 0.0f);
    std::vector<int32_t> sizes(p.groups, 0);
    float row[256];
    for (int32_t s = 0; s < head.len; s++) {
      const int32_t group = p.assignment[list * p.max_len + s];
      if (group < 0) continue;
      ReadRows(*head.pages[s / kPageSize], p.what, s % kPageSize, 1, row, 256);
      kernels.add(row, 1.0f, dim, out + int64_t{group} * dim);
      sizes[group]++;
    }
    for (int32_t i = 0; i < p.groups; i++) {
      if (sizes[i] > 0) kernels.scale(out + int64_t{i} * dim, 1.0f / static_cast<float>(sizes[i]), dim);
    }
  });
  return Status();
}

}  // namespace winnow
