#include "known_values.h"

#include <algorithm>
#include <utility>

namespace winnow::gpu {

namespace {

bool IsOf(const std::weak_ptr<void>& storage, const Tensor& t) {
  return !storage.expired() && !storage.owner_before(t.storage) && !t.storage.owner_before(storage);
}

}  // namespace

void KnownValues::Remember(const Tensor& t, Known what, Fact fact) {
  if (fact.first.size() > kMostValues) return Forget(t);
  if (entries_.size() >= kMostTensors) entries_.clear();
  std::vector<Entry>& own = entries_[t.storage.get()];
  std::erase_if(own, [&](const Entry& entry) { return !IsOf(entry.storage, t) || (entry.data == t.data && entry.what == what); });
  own.push_back({t.storage, t.data, what, std::move(fact)});
}

const Fact* KnownValues::Find(const Tensor& t, Known what) const {
  const auto found = entries_.find(t.storage.get());
  if (found == entries_.end()) return nullptr;
  for (const Entry& entry : found->second) {
    if (entry.data != t.data || entry.what != what || !IsOf(entry.storage, t)) continue;
    const int64_t described = what == Known::kValues ? t.size() : t.rank >= 2 ? t.dim(0) * t.dim(1) : 0;
    return static_cast<int64_t>(entry.fact.first.size()) == described ? &entry.fact : nullptr;
  }
  return nullptr;
}

}  // namespace winnow::gpu
