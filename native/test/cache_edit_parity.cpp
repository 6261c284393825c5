#include <algorithm>
#include <cmath>

#include "../kernels/cache_merge.h"
#include "../kernels/cache_rotate.h"
#include "cache_case.h"

/// Merge, rotation and channels against their fp64 references, slot by slot.
namespace winnow::parity {
namespace {

const CacheCase kCases[] = {{1, 1, 8, 8, 3}, {3, 3, 64, 40, 257, 60}, {2, 2, 80, 64, 130, 0, true}, {2, 2, 128, 128, 200, 0, false, 4}};

std::vector<double> RowOf(const Cache& cache, int32_t h, int32_t slot, int32_t what) {
  const Page& page = *cache.head(0, h).pages[slot / kPageSize];
  std::vector<float> row(page.dims[what]);
  ReadRows(page, what, slot % kPageSize, 1, row.data(), page.dims[what]);
  return {row.begin(), row.end()};
}

struct Fields {
  int32_t position;
  int32_t count;
  float bias;
};
Fields FieldsOf(const Cache& cache, int32_t h, int32_t slot) {
  const Page& page = *cache.head(0, h).pages[slot / kPageSize];
  const int32_t at = slot % kPageSize;
  return {page.positions[at], page.counts[at], page.bias[at]};
}

/// Every third slot is a target, every other a source with one to three entries, some of weight 0 or without target.
struct MergeMap {
  std::vector<int32_t> from, into, lens;
  std::vector<float> weight;
  int64_t stride;
  explicit MergeMap(const Cache& cache, int32_t heads) : stride(3 * int64_t{cache.MaxLen(0)}) {
    from.assign(heads * stride, 0);
    into.assign(heads * stride, 0);
    weight.assign(heads * stride, 0);
    for (int32_t h = 0; h < heads; h++) {
      int32_t n = 0;
      const int32_t len = cache.head(0, h).len;
      for (int32_t s = 0; s < len; s++) {
        if (s % 3 == 0) continue;
        for (int32_t k = 0; k <= s % 4 % 3; k++) {
          const double u = Uniform(3, s, k);
          const int64_t at = h * stride + n++;
          from[at] = s;
          into[at] = u < 0.1 ? -1 : static_cast<int32_t>(u * ((len + 2) / 3)) * 3;
          weight[at] = u > 0.9 ? 0.0f : static_cast<float>(0.25 + u);
        }
      }
      lens.push_back(n);
    }
  }
};

void MergeParity(Report& report) {
  for (const CacheCase& c : kCases) {
    for (const auto& [keys, values] : {std::pair{MergeKeys::kMean, MergeValues::kMean}, {MergeKeys::kDirection, MergeValues::kMean},
                                       {MergeKeys::kNone, MergeValues::kAdd}}) {
      uint64_t first_hash = 0;
      for (const Context& context : AllContexts()) {
        const auto before = MakeCache(c, context.act(), 5);
        const auto after = before->Fork();
        const MergeMap map(*before, c.num_kv_heads);
        const MergeBias bias = keys == MergeKeys::kNone ? MergeBias::kNone : MergeBias::kLogCount;
        const Status status = after->Merge(context, {0, map.from.data(), map.into.data(), map.weight.data(), map.stride,
                                                     map.lens.data(), keys, values, bias});
        std::vector<float> got;
        std::vector<double> wanted;
        int64_t wrong_fields = 0;
        int64_t counted = 0;
        int64_t dropped = 0;
        int64_t slots = 0;
        for (int32_t h = 0; h < c.num_kv_heads; h++) {
          const int32_t len = before->head(0, h).len;
          slots += len;
          std::vector<uint8_t> gave(len, 0);
          std::vector<int32_t> count(len);
          for (int32_t s = 0; s < len; s++) count[s] = FieldsOf(*before, h, s).count;
          for (int32_t i = 0; i < map.lens[h]; i++) {
            const int64_t at = h * map.stride + i;
            const int32_t from = map.from[at];
            if (map.into[at] < 0 || map.weight[at] == 0 || gave[from]) continue;
            gave[from] = 1;
            count[map.into[at]] += FieldsOf(*before, h, from).count;
          }
          for (int32_t s = 0; s < len; s++) {
            const bool is_target = s % 3 == 0;
            if (!is_target) dropped += !gave[s];
            std::vector<std::vector<double>> rows[2];
            std::vector<double> weights{static_cast<double>(FieldsOf(*before, h, s).count)};
            for (int32_t what = 0; what < 2; what++) rows[what].push_back(RowOf(*before, h, s, what));
            for (int32_t i = 0; is_target && i < map.lens[h]; i++) {
              const int64_t at = h * map.stride + i;
              if (map.into[at] != s || map.weight[at] == 0) continue;
              weights.push_back(map.weight[at]);
              for (int32_t what = 0; what < 2; what++) rows[what].push_back(RowOf(*before, h, map.from[at], what));
            }
            for (int32_t what = 0; what < 2; what++) {
              const auto dim = static_cast<int32_t>(rows[what][0].size());
              std::vector<double> flat;
              for (const auto& row : rows[what]) flat.insert(flat.end(), row.begin(), row.end());
              std::vector<double> out(rows[what][0]);
              if (weights.size() > 1) {
                const auto n = static_cast<int32_t>(weights.size());
                if (what == 1 && values == MergeValues::kAdd) {
                  for (int32_t k = 0; k < dim; k++)
                    for (int32_t i = 1; i < n; i++) out[k] += weights[i] * rows[1][i][k];
                } else if (what == 1 || keys == MergeKeys::kMean) {
                  MergeMeanReference(flat.data(), weights.data(), n, dim, out.data());
                } else if (keys == MergeKeys::kDirection) {
                  MergeDirectionReference(flat.data(), weights.data(), n, dim, out.data());
                }
              }
              wanted.insert(wanted.end(), out.begin(), out.end());
              for (const double x : RowOf(*after, h, s, what)) got.push_back(static_cast<float>(x));
            }
            const Fields now = FieldsOf(*after, h, s);
            const Fields old = FieldsOf(*before, h, s);
            const bool merged = weights.size() > 1;
            wrong_fields += now.position != old.position || now.count != (is_target ? count[s] : 0);
            if (merged && bias == MergeBias::kLogCount) wrong_fields += std::fabs(now.bias - std::log(count[s])) > 1e-6;
            else wrong_fields += now.bias != old.bias;
            counted += now.count;
          }
        }
        const std::string name = Describe(c) + " keys=" + std::to_string(static_cast<int>(keys)) + " values=" +
                                 std::to_string(static_cast<int>(values)) + NumericsOf(context);
        report.Check({"cache_merge", context.isa, name, 5}, RelativeRms(got.data(), wanted.data(), got.size()),
                     context.has_bf16() ? 4e-3 : 1e-6, status.ok());
        report.Check({"cache_merge", context.isa, name + " positions, counts, bias", 5}, static_cast<double>(wrong_fields), 0);
        report.Check({"cache_merge", context.isa, name + " counts add up", 5}, static_cast<double>(counted + dropped - slots), 0);
        if (context.has_bf16()) continue;
        if (first_hash == 0) first_hash = after->Hash();
        report.Check({"cache_merge", context.isa, name + " same bits", 5}, after->Hash() == first_hash ? 0 : 1, 0);
      }
    }
  }
}

void MergeRefusals(Report& report) {
  const auto cache = MakeCache({1, 1, 8, 8, 10}, DType::kF32, 1);
  const uint64_t hash = cache->Hash();
  const auto refused = [&](std::vector<int32_t> from, std::vector<int32_t> into, std::vector<float> weight) {
    const int32_t lens[] = {static_cast<int32_t>(from.size())};
    const bool ok = cache->Merge({}, {0, from.data(), into.data(), weight.data(), static_cast<int64_t>(from.size()), lens,
                                      MergeKeys::kMean, MergeValues::kMean, MergeBias::kNone}).ok();
    return !ok && cache->Hash() == hash;
  };
  const auto check = [&](const char* name, bool holds) { report.Check({"cache_merge", Isa::kScalar, name, 1}, holds ? 0 : 1, 0); };
  check("a slot that is source and target is refused", refused({1, 2}, {2, 3}, {1, 1}));
  check("descending sources are refused", refused({2, 1}, {3, 3}, {1, 1}));
  check("slots beyond the end are refused", refused({1}, {10}, {1}) && refused({10}, {1}, {1}));
  check("weights below 0, infinite or NaN are refused", refused({1}, {2}, {-1}) && refused({1}, {2}, {INFINITY}) && refused({1}, {2}, {NAN}));
}

/// cos and sin of a table with an own scale, as YaRN has.
std::vector<float> TableOf(int32_t positions, int32_t rope_dims, double scale) {
  std::vector<float> table;
  for (int32_t p = 0; p < positions; p++) {
    for (int32_t half = 0; half < 2; half++) {
      for (int32_t i = 0; i < rope_dims / 2; i++) {
        const double angle = p * std::pow(10000.0, -2.0 * i / rope_dims);
        table.push_back(static_cast<float>(scale * (half == 0 ? std::cos(angle) : std::sin(angle))));
      }
    }
  }
  return table;
}

void RotateParity(Report& report) {
  for (const CacheCase& c : kCases) {
    for (const double scale : {1.0, 1.25}) {
      const int32_t rope_dims = c.head_dim >= 64 ? c.head_dim / 2 : c.head_dim;
      const std::vector<float> table = TableOf(900, rope_dims, scale);
      uint64_t first_hash = 0;
      for (const Context& context : AllContexts()) {
        const auto before = MakeCache(c, context.act(), 6);
        const auto after = before->Fork();
        const int64_t stride = before->MaxLen(0);
        std::vector<int32_t> slots, delta, lens;
        for (int32_t h = 0; h < c.num_kv_heads; h++) {
          const int32_t len = before->head(0, h).len;
          std::vector<int32_t> listed;
          for (int32_t s = 0; s < len; s++)
            if (h == 1 || s % 3 != 1) listed.push_back(s);
          lens.push_back(h == 1 ? -1 : static_cast<int32_t>(listed.size()));
          listed.resize(stride, -1);
          slots.insert(slots.end(), listed.begin(), listed.end());
          for (int64_t i = 0; i < stride; i++) {
            const int32_t position = listed[i] < 0 ? 0 : FieldsOf(*before, h, listed[i]).position;
            delta.push_back(i % 5 == 0 ? 0 : i % 2 == 0 ? 37 + static_cast<int32_t>(i) : -std::min(position, 11));
          }
        }
        const RotateParams params{0, slots.data(), stride, lens.data(), delta.data(), table.data(), 900, rope_dims};
        const Status status = after->Rotate(context, params);
        std::vector<float> got;
        std::vector<double> wanted;
        int64_t wrong = 0;
        for (int32_t h = 0; h < c.num_kv_heads; h++) {
          for (int32_t s = 0, i = 0; s < before->head(0, h).len; s++) {
            std::vector<double> key = RowOf(*before, h, s, 0);
            int32_t moved = 0;
            if (lens[h] < 0 || (i < lens[h] && slots[h * stride + i] == s)) moved = delta[h * stride + i++];
            RotateReference(key.data(), table.data(), rope_dims, moved, scale);
            wanted.insert(wanted.end(), key.begin(), key.end());
            for (const double x : RowOf(*after, h, s, 0)) got.push_back(static_cast<float>(x));
            wrong += FieldsOf(*after, h, s).position != FieldsOf(*before, h, s).position + moved;
            // Quantised values come back as elements, rounded.
            wrong += c.bits == 0 && RowOf(*after, h, s, 1) != RowOf(*before, h, s, 1);
          }
        }
        const std::string name = Describe(c) + " rope=" + std::to_string(rope_dims) + " scale=" + std::to_string(scale) + NumericsOf(context);
        const double bound = context.has_bf16() ? 4e-3 : 4e-7;
        report.Check({"cache_rotate", context.isa, name, 6}, RelativeRms(got.data(), wanted.data(), got.size()), bound, status.ok());
        report.Check({"cache_rotate", context.isa, name + " positions move, values stay", 6}, static_cast<double>(wrong), 0);
        for (int32_t& d : delta) d = -d;
        const bool back = after->Rotate(context, params).ok();
        std::vector<double> start;
        got.clear();
        for (int32_t h = 0; h < c.num_kv_heads; h++) {
          for (int32_t s = 0; s < before->head(0, h).len; s++) {
            for (const double x : RowOf(*before, h, s, 0)) start.push_back(x);
            for (const double x : RowOf(*after, h, s, 0)) got.push_back(static_cast<float>(x));
          }
        }
        report.Check({"cache_rotate", context.isa, name + " there and back", 6}, RelativeRms(got.data(), start.data(), got.size()), 2 * bound, back);
        if (context.has_bf16()) continue;
        if (first_hash == 0) first_hash = after->Hash();
        report.Check({"cache_rotate", context.isa, name + " same bits", 6}, after->Hash() == first_hash ? 0 : 1, 0);
      }
    }
  }
  const auto cache = MakeCache({1, 1, 8, 8, 10}, DType::kF32, 1);
  const uint64_t hash = cache->Hash();
  const int32_t slots[] = {0};
  const int32_t lens[] = {1};
  const std::vector<float> table = TableOf(4, 8, 1);
  for (const int32_t bad : {-1, 4, -4}) {
    const bool refused = !cache->Rotate({}, {0, slots, 1, lens, &bad, table.data(), 4, 8}).ok() && cache->Hash() == hash;
    report.Check({"cache_rotate", Isa::kScalar, "a move by " + std::to_string(bad) + " is refused", 1}, refused ? 0 : 1, 0);
  }
}

void ChannelsFacts(Report& report) {
  for (const DType element : {DType::kF32, DType::kBf16}) {
    const CacheCase c{2, 2, 64, 40, 200, 30};
    const auto before = MakeCache(c, element, 7);
    const auto after = before->Fork();
    const int32_t kept[] = {1, 5, 6, 40, 63, 0, 2, 4, 0, 0};
    const int32_t lens[] = {5, 3};
    const bool ok = after->KeepChannels(0, 200, kept, 5, lens).ok();
    int64_t wrong = 0;
    for (int32_t h = 0; h < 2; h++) {
      const int32_t len = before->head(0, h).len;
      for (int32_t s = 0; s < len; s++) {
        std::vector<double> key = RowOf(*before, h, s, 0);
        for (int32_t ch = 0; s < len / kPageSize * kPageSize && ch < 64; ch++) {
          if (std::find(kept + h * 5, kept + h * 5 + lens[h], ch) == kept + h * 5 + lens[h]) key[ch] = 0;
        }
        wrong += RowOf(*after, h, s, 0) != key || RowOf(*after, h, s, 1) != RowOf(*before, h, s, 1);
      }
    }
    const std::string name = winnow::NameOf(element);
    report.Check({"cache_channels", Isa::kScalar, name + ": listed channels stay, others read 0, the open page is whole", 7}, static_cast<double>(wrong), 0, ok);
    const auto size = static_cast<int64_t>(SizeOf(element));
    const int64_t bytes = 3 * (int64_t{64} * 5 * size + 5) + (200 - 192) * 64 * size + 200 * 40 * size;
    report.Check({"cache_channels", Isa::kScalar, name + ": bytes are those of the channels kept", 7}, static_cast<double>(after->HeadBytes(0, 0) - bytes), 0);
    // Reading them back as elements is what a later write does.
    const int32_t slots[] = {1, 70, 150, 1, 2, 3};
    const int32_t keeps[] = {3, 3};
    const auto read = RowOf(*after, 0, 70, 0);
    const bool kept_ok = after->Keep(0, slots, 3, keeps).ok();
    report.Check({"cache_channels", Isa::kScalar, name + ": moved slots keep what they read", 7}, RowOf(*after, 0, 1, 0) == read ? 0 : 1, 0, kept_ok);
  }
}

void AppendBefore(Report& report) {
  for (const DType element : {DType::kF32, DType::kBf16}) {
    const CacheCase c{2, 2, 8, 8, 130, 3, true};
    const auto before = MakeCache(c, element, 9);
    const auto after = before->Fork();
    const std::vector<float> rows(2 * 3 * 8, 0.5f);
    const int32_t positions[] = {7, 8, 9, 7, 8, 9};
    const int32_t counts[] = {4, 5, 6, 4, -1, 6};
    const float bias[] = {1, 2, 3, 1, 2, 3};
    const bool ok = after->Append(0, 3, rows.data(), rows.data(), positions, counts, bias, 5).ok();
    int64_t wrong = 0;
    for (int32_t h = 0; h < 2; h++) {
      const int32_t old = before->head(0, h).len;
      const int32_t grown = h == 0 ? 3 : 2;
      wrong += after->head(0, h).len != old + grown;
      for (int32_t s = 0; s < old; s++) {
        const int32_t now = s < old - 5 ? s : s + grown;
        wrong += RowOf(*after, h, now, 0) != RowOf(*before, h, s, 0) || RowOf(*after, h, now, 1) != RowOf(*before, h, s, 1);
        wrong += FieldsOf(*after, h, now).position != FieldsOf(*before, h, s).position;
        wrong += FieldsOf(*after, h, now).bias != FieldsOf(*before, h, s).bias;
      }
      const Fields last = FieldsOf(*after, h, old - 5 + grown - 1);
      wrong += last.position != 9 || last.count != 6 || last.bias != 3 || RowOf(*after, h, old - 5, 1) != std::vector<double>(8, 0.5);
    }
    report.Check({"cache_append", Isa::kScalar, std::string(winnow::NameOf(element)) + ": before the last slots, ragged", 9}, static_cast<double>(wrong), 0, ok);
  }
}

}  // namespace

WINNOW_PARITY(cache_merge, MergeParity);
WINNOW_PARITY(cache_merge_refusals, MergeRefusals);
WINNOW_PARITY(cache_rotate, RotateParity);
WINNOW_PARITY(cache_channels, ChannelsFacts);
WINNOW_PARITY(cache_append, AppendBefore);

}  // namespace winnow::parity
