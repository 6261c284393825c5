#include <algorithm>
#include <cmath>

#include "../kernels/attend_decode.h"
#include "../kernels/cache_table.h"
#include "../kernels/numerics.h"
#include "../kernels/quantise.h"
#include "cache_case.h"

/// The paged cache against a model of plain vectors, under random churn of every operation on many forks.
namespace winnow::parity {
namespace {

struct Slot {
  std::vector<float> key;
  std::vector<float> value;
  int32_t position;
  int32_t count;
  float bias;
  bool operator==(const Slot&) const = default;
};
using Model = std::vector<std::vector<Slot>>;  ///< per (layer, KV head)

constexpr int32_t kLayers = 2;
constexpr int32_t kHeads = 2;
constexpr int32_t kDim = 16;
constexpr int32_t kDimV = 8;
constexpr int32_t kMaxForks = 6;

struct Pair {
  std::unique_ptr<Cache> cache;
  Model model;
};

class Churn {
 public:
  Churn(uint64_t seed, DType element) : seed_(seed) {
    CacheLayout layout;
    (void)MakeLayout({kHeads, kHeads}, {kDim, kDim}, {kDimV, kDimV}, element, &layout);
    element_ = element;
    Pair first{std::make_unique<Cache>(std::make_shared<const CacheLayout>(layout)), Model(kLayers * kHeads)};
    pairs_.push_back(std::move(first));
  }

  /// One random operation; false when cache and model disagree.
  bool Step() {
    Pair& pair = pairs_[Pick(pairs_.size())];
    const int32_t layer = static_cast<int32_t>(Pick(kLayers));
    const double what = Next();
    if (what < 0.45) {
      Append(pair, layer, 1 + static_cast<int32_t>(Next() < 0.2 ? Pick(150) : Pick(4)));
    } else if (what < 0.55) {
      if (pairs_.size() < kMaxForks) pairs_.push_back({pair.cache->Fork(), pair.model});
      else Drop();
    } else if (what < 0.75) {
      Keep(pair, layer);
    } else if (what < 0.85) {
      DropLast(pair);
    } else if (what < 0.93) {
      Quantise(pair, layer);
    } else {
      Drop();
    }
    return Pick(7) != 0 || Agrees(pairs_[Pick(pairs_.size())]);
  }

  bool AllAgree() const {
    return std::all_of(pairs_.begin(), pairs_.end(), [this](const Pair& pair) { return Agrees(pair); });
  }

 private:
  double Next() { return Uniform(seed_, 1, counter_++); }
  size_t Pick(size_t n) { return static_cast<size_t>(Next() * static_cast<double>(n)); }
  float Stored(float x) const { return element_ == DType::kBf16 ? FromBf16(ToBf16(x)) : x; }

  void Append(Pair& pair, int32_t layer, int32_t count) {
    std::vector<float> keys, values, bias;
    std::vector<int32_t> positions, counts;
    for (int32_t h = 0; h < kHeads; h++) {
      for (int32_t t = 0; t < count; t++) {
        Slot slot;
        for (int32_t c = 0; c < kDim; c++) slot.key.push_back(Stored(static_cast<float>(Next() * 4 - 2)));
        for (int32_t c = 0; c < kDimV; c++) slot.value.push_back(Stored(static_cast<float>(Next() - 0.5)));
        slot.position = static_cast<int32_t>(counter_ % 100000);
        slot.count = 1 + static_cast<int32_t>(Pick(3));
        slot.bias = Next() < 0.1 ? static_cast<float>(Next()) : 0.0f;
        keys.insert(keys.end(), slot.key.begin(), slot.key.end());
        values.insert(values.end(), slot.value.begin(), slot.value.end());
        positions.push_back(slot.position);
        counts.push_back(slot.count);
        bias.push_back(slot.bias);
        pair.model[layer * kHeads + h].push_back(slot);
      }
    }
    (void)pair.cache->Append(layer, count, keys.data(), values.data(), positions.data(), counts.data(), bias.data());
  }

  void Keep(Pair& pair, int32_t layer) {
    const int32_t stride = pair.cache->MaxLen(layer);
    std::vector<int32_t> slots(static_cast<size_t>(kHeads) * stride, -1);
    std::vector<int32_t> lens;
    const double share = Next() < 0.5 ? 0.98 : 0.6;
    for (int32_t h = 0; h < kHeads; h++) {
      std::vector<Slot>& model = pair.model[layer * kHeads + h];
      if (Next() < 0.2) {
        lens.push_back(-1);
        continue;
      }
      std::vector<Slot> kept;
      const size_t prefix = Pick(model.size() + 1);
      for (size_t s = 0; s < model.size(); s++) {
        if (s >= prefix && Next() > share) continue;
        slots[h * stride + kept.size()] = static_cast<int32_t>(s);
        kept.push_back(model[s]);
      }
      lens.push_back(static_cast<int32_t>(kept.size()));
      model = kept;
    }
    (void)pair.cache->Keep(layer, slots.data(), stride, lens.data());
  }

  void DropLast(Pair& pair) {
    size_t shortest = SIZE_MAX;
    for (const auto& head : pair.model) shortest = std::min(shortest, head.size());
    const size_t count = Pick(std::min<size_t>(shortest, 70) + 1);
    (void)pair.cache->DropLast(static_cast<int32_t>(count));
    for (auto& head : pair.model) head.resize(head.size() - count);
  }

  void Quantise(Pair& pair, int32_t layer) {
    const int32_t what = static_cast<int32_t>(Pick(2));
    const int32_t dim = what == 0 ? kDim : kDimV;
    constexpr uint8_t all_bits[] = {2, 4, 8};
    const PlaneFormat format{all_bits[Pick(3)], static_cast<uint8_t>(Pick(2)), 8};
    const int32_t up_to = static_cast<int32_t>(Pick(static_cast<size_t>(pair.cache->MaxLen(layer)) + 1));
    for (int32_t h = 0; h < kHeads; h++) {
      const HeadCache& head = pair.cache->head(layer, h);
      std::vector<Slot>& model = pair.model[layer * kHeads + h];
      for (int32_t page = 0; (page + 1) * kPageSize <= std::min<int32_t>(up_to, head.len); page++) {
        if (head.pages[page]->planes[what].format.bits != 0) continue;
        std::vector<float> rows;
        for (int32_t s = 0; s < kPageSize; s++) {
          const Slot& slot = model[page * kPageSize + s];
          const std::vector<float>& from = what == 0 ? slot.key : slot.value;
          // A slot that once was quantised and is an element again was rounded on the way.
          for (const float x : from) rows.push_back(Stored(x));
        }
        std::vector<float> back(rows.size());
        (void)QuantiseRoundTrip(rows.data(), kPageSize, dim, format, back.data());
        for (int32_t s = 0; s < kPageSize; s++) {
          Slot& slot = model[page * kPageSize + s];
          (what == 0 ? slot.key : slot.value).assign(back.begin() + s * dim, back.begin() + (s + 1) * dim);
        }
      }
    }
    (void)pair.cache->Quantise(layer, what, up_to, format);
  }

  void Drop() {
    if (pairs_.size() == 1) return;
    const size_t victim = Pick(pairs_.size());
    std::swap(pairs_[victim], pairs_.back());
    pairs_.pop_back();
  }

  /// The model keeps what was quantised as it was read back; as an element of a page written later it is rounded.
  bool Agrees(const Pair& pair) const {
    for (int32_t i = 0; i < kLayers * kHeads; i++) {
      const HeadCache& head = pair.cache->heads()[i];
      const std::vector<Slot>& model = pair.model[i];
      if (head.len != static_cast<int32_t>(model.size()) || PagesFor(head.len) != static_cast<int32_t>(head.pages.size())) return false;
      for (int32_t s = 0; s < head.len; s++) {
        const Page& page = *head.pages[s / kPageSize];
        float key[kDim];
        float value[kDimV];
        ReadRows(page, 0, s % kPageSize, 1, key, kDim);
        ReadRows(page, 1, s % kPageSize, 1, value, kDimV);
        const Slot& slot = model[s];
        for (int32_t c = 0; c < kDim; c++) {
          if (key[c] != slot.key[c] && key[c] != Stored(slot.key[c])) return false;
        }
        for (int32_t c = 0; c < kDimV; c++) {
          if (value[c] != slot.value[c] && value[c] != Stored(slot.value[c])) return false;
        }
        const int32_t at = s % kPageSize;
        if (page.positions[at] != slot.position || page.counts[at] != slot.count || page.bias[at] != slot.bias) return false;
        if (slot.bias != 0.0f && !page.has_bias) return false;
      }
    }
    return true;
  }

  uint64_t seed_;
  uint64_t counter_ = 0;
  DType element_ = DType::kF32;
  std::vector<Pair> pairs_;
};

void CacheChurn(Report& report) {
  for (const DType element : {DType::kF32, DType::kBf16}) {
    const int64_t bytes_before = LivePageBytes();
    const int64_t pages_before = LivePages();
    const std::string name = std::string(winnow::NameOf(element)) + " 10000 operations";
    {
      Churn churn(77, element);
      int32_t step = 0;
      while (step < 10000 && churn.Step()) step++;
      report.Check({"cache_churn", Isa::kScalar, name, 77}, 10000 - step, 0);
      report.Check({"cache_churn", Isa::kScalar, name + ", every fork", 77}, churn.AllAgree() ? 0 : 1, 0);
    }
    report.Check({"cache_churn", Isa::kScalar, name + ", bytes left", 77}, static_cast<double>(LivePageBytes() - bytes_before), 0);
    report.Check({"cache_churn", Isa::kScalar, name + ", pages left", 77}, static_cast<double>(LivePages() - pages_before), 0);
  }
}

void CacheFacts(Report& report) {
  const auto check = [&](const std::string& name, bool holds) { report.Check({"cache", Isa::kScalar, name, 1}, holds ? 0 : 1, 0); };
  const int64_t before = LivePageBytes();
  {
    auto cache = MakeCache({3, 3, 64, 64, 200}, DType::kBf16, 1);
    check("bytes are slots x width x element bytes", cache->Bytes() == int64_t{3} * 200 * 128 * 2);
    const int64_t alone = LivePageBytes();
    auto fork = cache->Fork();
    check("a fork costs no pages", LivePageBytes() == alone);
    check("a fork has the same hash", fork->Hash() == cache->Hash());
    const uint64_t hash = cache->Hash();
    fork->Grow(0, 1);
    check("a write to a fork copies one page per head",
          LivePageBytes() - alone == int64_t{3} * (2 * 64 * 64 * 2 + static_cast<int64_t>(sizeof(Page))));
    check("a write to a fork leaves its parent alone", cache->Hash() == hash && fork->Hash() != hash);
    (void)fork->Quantise(0, 0, 200, {4, 0, 64});
    check("quantising a fork leaves its parent alone", cache->Hash() == hash);
    // Three whole pages: codes 64 x 64 / 2, and 64 groups of 2 x 2 bytes; the rest of 201 slots in elements.
    check("quantised bytes are codes, scales and minima",
          fork->HeadBytes(0, 0) == 3 * (64 * 64 / 2 + 64 * 4) + (201 - 192) * 64 * 2 + 201 * 64 * 2);
    const int32_t bad[] = {5, 4, 0, 1, 0, 1};
    const int32_t lens[] = {2, 2, 2};
    check("slots out of order are refused", !cache->Keep(0, bad, 2, lens).ok() && cache->Hash() == hash);
    const int32_t beyond[] = {0, 200, 0, 1, 0, 1};
    check("slots beyond the end are refused", !cache->Keep(0, beyond, 2, lens).ok() && cache->Hash() == hash);
    check("dropping more than there is is refused", !cache->DropLast(201).ok() && cache->Hash() == hash);
  }
  check("nothing is left", LivePageBytes() == before);
  CacheTable table;
  CacheLayout layout;
  check("a head dim that is no multiple of 8 is refused", !MakeLayout({1}, {20}, {20}, DType::kF32, &layout).ok());
  (void)MakeLayout({1}, {16}, {16}, DType::kF32, &layout);
  const LayoutId id = table.AddLayout(layout);
  CacheId first = 0;
  CacheId second = 0;
  Cache* found = nullptr;
  (void)table.Create(id, &first);
  (void)table.Free(first);
  (void)table.Create(id, &second);
  check("a freed id is never another cache", first != second && !table.Get(first, "x", &found).ok() && table.Get(second, "x", &found).ok());
  check("wild ids are refused", !table.Get(-5, "x", &found).ok() && !table.Get(INT32_MAX, "x", &found).ok());
}

}  // namespace

WINNOW_PARITY(cache_churn, CacheChurn);
WINNOW_PARITY(cache, CacheFacts);

}  // namespace winnow::parity
