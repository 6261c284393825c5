#include "attention_ref.h"
#include "reference.h"

namespace winnow {
namespace {

/// One query of one head and what it may see.
struct Query {
  const WnAttentionAnyParams& p;
  int row, token, head;
  int64_t segment() const {
    return static_cast<int64_t>(row) * p.num_kv_heads + head / (p.num_query_heads / p.num_kv_heads);
  }
  int length() const { return p.kv_lens[segment()]; }
  int first_new() const { return length() - p.query_len; }
  /// Arena slot of a slot; negative where its page was given back.
  int64_t arena(int slot) const {
    const int32_t page = p.page_table[segment() * p.page_table_stride + slot / WN_PAGE_SIZE];
    return page < 0 ? -1 : static_cast<int64_t>(page) * WN_PAGE_SIZE + slot % WN_PAGE_SIZE;
  }
  int64_t list() const {
    if (p.list == WN_LIST_ROW) return row;
    return p.list == WN_LIST_KV_HEAD ? segment() : static_cast<int64_t>(row) * p.num_query_heads + head;
  }
  bool listed(int slot) const {
    const int len = p.list == WN_LIST_NONE ? -1 : p.index_lens[list()];
    if (len < 0 || len == 0) return len < 0;
    if (slot >= first_new()) return true;
    const int32_t* entries = p.indices + list() * p.index_stride;
    const int wanted = p.page_size > 0 ? slot / p.page_size : slot;
    for (int i = 0; i < len; i++)
      if (entries[i] == wanted) return true;
    return false;
  }
  bool among_new(int slot) const {
    if (slot < first_new() || p.visible == WN_SEE_ALL) return true;
    if (p.visible == WN_SEE_CAUSAL) return slot <= first_new() + token;
    for (int t = token; t >= 0; t = p.parents[static_cast<int64_t>(row) * p.query_len + t])
      if (slot == first_new() + t) return true;
    return false;
  }
  bool sees(int slot) const {
    const int own = first_new() + token;
    if (arena(slot) < 0 || !listed(slot) || !among_new(slot)) return false;
    if (p.sliding_window > 0 && p.positions[arena(slot)] <= p.positions[arena(own)] - p.sliding_window) return false;
    if (!p.windows || p.windows[2 * head] < 0 || p.windows[2 * head + 1] < 0) return true;
    return slot < p.windows[2 * head] || slot > own - p.windows[2 * head + 1];
  }
};

}  // namespace

void attention_any_ref(const WnAttentionAnyParams& p, double* out, double* lse, double* probs) {
  const int64_t queries = static_cast<int64_t>(p.rows) * p.query_len * p.num_query_heads;
  for (int64_t i = 0; i < queries; i++) {
    const Query query{p, static_cast<int>(i / p.num_query_heads / p.query_len),
                      static_cast<int>(i / p.num_query_heads % p.query_len), static_cast<int>(i % p.num_query_heads)};
    std::vector<int> seen;
    for (int slot = 0; slot < query.length(); slot++)
      if (query.sees(slot)) seen.push_back(slot);
    auto element = [&](int slot, int is_value, int d) {
      const int64_t at = query.arena(slot);
      return bf16_value(p.pages, (at / 64 * 128 + 64 * is_value + at % 64) * p.head_dim + d);
    };
    auto score = [&](int j) {
      double x = 0;
      for (int d = 0; d < p.head_dim; d++) x += bf16_value(p.q, i * p.head_dim + d) * element(seen[j], 0, d);
      x *= p.softmax_scale;
      if (p.soft_cap > 0) x = p.soft_cap * std::tanh(x / p.soft_cap);
      return x + (p.log_bias ? p.log_bias[query.arena(seen[j])] : 0);
    };
    auto value = [&](int j, int d) { return element(seen[j], 1, d); };
    double own_lse = 0;
    attend(static_cast<int>(seen.size()), p.head_dim, score, value, out + i * p.head_dim, &own_lse);
    if (lse) lse[i] = own_lse;
    if (!probs) continue;
    double* own_probs = probs + i * p.max_slots;
    for (int64_t slot = 0; slot < p.max_slots; slot++) own_probs[slot] = slot < query.length() ? 0 : -INFINITY;
    for (size_t j = 0; j < seen.size() && own_lse > -INFINITY; j++)
      own_probs[seen[j]] = std::exp(score(static_cast<int>(j)) - own_lse);
  }
}

}  // namespace winnow
