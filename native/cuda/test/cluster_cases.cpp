#include <algorithm>

#include "cache_setting.h"

namespace winnow::test {
namespace {

constexpr int kRows = 2, kKvHeads = 2;

/// Two rows of two heads, of unequal lengths, one of them empty.
struct Setting : CacheSetting {
  Setting(int head_dim, int longest, Device& memory)
      : CacheSetting(301, {longest, 3, longest / 2 + 1, 0}, kKvHeads, head_dim, memory) {}
};

void run_k_means(int head_dim, int longest, int clusters, int iterations, int seeding, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, longest, device);
  const size_t lists = kRows * kKvHeads;
  WnKMeansParams p{};
  p.cache = setting.host;
  p.seed = 12345;
  p.layer = 3;
  p.clusters = clusters;
  p.iterations = iterations;
  p.max_len = longest;
  p.what = head_dim % 64 == 0;
  p.seeding = seeding;
  std::vector<double> want(lists * clusters * head_dim);
  std::vector<int32_t> want_assignment(lists * longest), want_sizes(lists * clusters);
  k_means_ref(p, want.data(), want_assignment.data(), want_sizes.data());
  p.cache = setting.device;
  p.centroids = device.poisoned<float>(want.size());
  p.assignment = device.poisoned<int32_t>(want_assignment.size());
  p.sizes = device.poisoned<int32_t>(want_sizes.size());
  p.workspace_bytes = wn_k_means_workspace_bytes(&p);
  p.workspace = device.poisoned<char>(static_cast<size_t>(p.workspace_bytes));
  if (!device.finish(wn_k_means(&p, nullptr))) return;
  compare_exact(outcome, device.download(p.assignment, want_assignment.size()), want_assignment, "assignment");
  compare_exact(outcome, device.download(p.sizes, want_sizes.size()), want_sizes, "sizes");
  compare(outcome, widen(device.download(p.centroids, want.size())), want, 1e-5);
}

void run_group_means(int head_dim, int groups, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, 150, device);
  WnGroupMeansParams p{setting.host, nullptr, nullptr, groups, 150, 1};
  std::vector<int32_t> assignment(static_cast<size_t>(kRows * kKvHeads) * 150);
  // No slot is in group 1, some are in none.
  for (size_t i = 0; i < assignment.size(); i++) {
    const auto group = static_cast<int32_t>(hash_word(302, i) % static_cast<uint32_t>(groups + 1)) - 1;
    assignment[i] = group == 1 ? -1 : group;
  }
  p.assignment = assignment.data();
  std::vector<double> want(static_cast<size_t>(kRows * kKvHeads) * groups * head_dim);
  group_means_ref(p, want.data());
  p.cache = setting.device;
  p.assignment = device.upload(assignment);
  p.means = device.poisoned<float>(want.size());
  if (!device.finish(wn_group_means(&p, nullptr))) return;
  compare(outcome, widen(device.download(p.means, want.size())), want, 1e-6);
}

/// kind 0: weights of 0 or more, some equal, some none; 1: many of 0; 2: a list with a weight below 0, and one without entries
void run_top_p(int kind, int lists, int length, double mass, int first, int last, Outcome& outcome) {
  std::vector<float> weights(static_cast<size_t>(lists) * length);
  for (size_t i = 0; i < weights.size(); i++) {
    // Multiples of 1/64: sums are exact in any order.
    weights[i] = static_cast<float>(hash_word(303, i) % (kind == 1 ? 3 : 200)) / 64;
    if (hash_word(304, i) % 7 == 0) weights[i] = hash_word(305, i) % 2 ? -INFINITY : NAN;
    if (kind == 2 && static_cast<int>(i) / length == 1) weights[i] = -INFINITY;
  }
  if (kind == 2) weights[static_cast<size_t>(length) / 2] = -0.5f;
  WnTopPParams p{weights.data(), nullptr, nullptr, lists, length, first, last, mass};
  std::vector<int32_t> want(weights.size()), want_lens(lists);
  top_p_ref(p, want.data(), want_lens.data());
  Device device(outcome);
  p.weights = device.upload(weights);
  p.indices = device.poisoned<int32_t>(want.size());
  p.lens = device.poisoned<int32_t>(want_lens.size());
  if (!device.finish(wn_top_p(&p, nullptr))) return;
  compare_exact(outcome, device.download(p.lens, want_lens.size()), want_lens, "lens");
  compare_exact(outcome, device.download(p.indices, want.size()), want, "indices");
}

void run_round_trip(int rows, int dim, int bits, int group, int along, Outcome& outcome) {
  auto x = normal_f32(306, static_cast<size_t>(rows) * dim, 20);
  std::fill(x.begin(), x.begin() + std::min<size_t>(x.size(), 64), 2.5f);
  if (x.size() > 4000) x[4000] = 1e6f;
  WnQuantiseRoundTripParams p{x.data(), nullptr, rows, dim, bits, group, along};
  std::vector<double> want(x.size());
  quantise_round_trip_ref(p, want.data());
  Device device(outcome);
  p.x = device.upload(x);
  p.out = device.poisoned<float>(x.size());
  if (!device.finish(wn_quantise_round_trip(&p, nullptr))) return;
  compare(outcome, widen(device.download(p.out, x.size())), want, 1e-5);
}

}  // namespace

void add_cluster_cases(Cases& cases) {
  auto name = [](std::initializer_list<int> parts) {
    std::string text;
    for (int part : parts) text += (text.empty() ? "" : "-") + std::to_string(part);
    return text;
  };
  for (int seeding : {WN_SEEDS_SPACED, WN_SEEDS_PLUS_PLUS})
    for (auto [d, longest, clusters, iterations] : {std::tuple{8, 5, 1, 0}, {16, 70, 6, 3}, {80, 200, 65, 2}, {128, 130, 20, 4}, {256, 64, 3, 1}})
      cases.push_back({"k_means", name({seeding, d, longest, clusters, iterations}),
                       [=](Outcome& outcome) { run_k_means(d, longest, clusters, iterations, seeding, outcome); }});
  for (int d : {8, 80, 256})
    for (int groups : {1, 5, 40})
      cases.push_back({"group_means", name({d, groups}), [=](Outcome& outcome) { run_group_means(d, groups, outcome); }});
  for (int kind : {0, 1, 2})
    for (int percent : {0, 50, 90, 100})
      for (auto [lists, length, first, last] : {std::tuple{1, 1, 0, 0}, {3, 33, 0, 0}, {4, 600, 4, 30}, {2, 1500, 0, 9}, {2, 20, 15, 15}})
        if (kind < 2 || lists > 1)
          cases.push_back({"top_p", name({kind, percent, lists, length, first, last}),
                           [=](Outcome& outcome) { run_top_p(kind, lists, length, percent / 100.0, first, last, outcome); }});
  for (int bits : {2, 4, 8})
    for (auto [rows, dim, group, along] : {std::tuple{64, 80, 32, 0}, {64, 128, 64, 0}, {70, 128, 32, 1}, {33, 96, 96, 1}, {1, 8, 1, 1}})
      cases.push_back({"quantise_round_trip", name({bits, rows, dim, group, along}),
                       [=](Outcome& outcome) { run_round_trip(rows, dim, bits, group, along, outcome); }});
}

}  // namespace winnow::test
