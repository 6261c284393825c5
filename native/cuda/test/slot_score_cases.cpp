#include <algorithm>

#include "cache_setting.h"

namespace winnow::test {
namespace {

constexpr int kRows = 2, kKvHeads = 2, kHeads = 6;

/// Two rows of two heads, of unequal lengths.
struct Setting : CacheSetting {
  int max_len;

  Setting(int head_dim, int longest, Device& memory)
      : CacheSetting(61, {longest, longest / 2 + 1, std::max(longest - 1, 1), (longest + 3) / 4}, kKvHeads, head_dim, memory),
        max_len(longest) {}
};

void run_channels(int head_dim, int longest, int query_len, int lists, int gqa, int q_type, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, longest, device);
  const size_t count = static_cast<size_t>(kRows) * query_len * kHeads * head_dim;
  const auto q16 = normal_bf16(62, count);
  const auto q32 = normal_f32(63, count);
  std::vector<int32_t> channels, lens;
  for (int i = 0; i < kRows * lists; i++) {
    std::vector<int32_t> chosen;
    for (int c = 0; c < head_dim; c++)
      if (hash_word(64, i * 1000 + c) % 3 == 0) chosen.push_back(c);
    lens.push_back(i % 4 == 1 ? -1 : static_cast<int32_t>(chosen.size()));
    chosen.resize(head_dim, -1);
    channels.insert(channels.end(), chosen.begin(), chosen.end());
  }
  WnChannelScoresParams p{};
  p.query_len = query_len;
  p.num_query_heads = kHeads;
  p.max_len = setting.max_len;
  p.lists = lists;
  p.channel_stride = head_dim;
  p.q_type = q_type;
  p.gqa = gqa;
  WnChannelScoresParams host = p;
  host.cache = setting.host;
  host.q = q_type == WN_F32 ? static_cast<const void*>(q32.data()) : q16.data();
  host.channels = channels.data();
  host.channel_lens = lens.data();
  std::vector<double> want(static_cast<size_t>(kRows) * lists_after_ref(gqa, kHeads, kKvHeads) * p.max_len);
  channel_scores_ref(host, want.data());
  p.cache = setting.device;
  p.q = q_type == WN_F32 ? static_cast<const void*>(device.upload(q32)) : device.upload(q16);
  p.channels = device.upload(channels);
  p.channel_lens = device.upload(lens);
  p.scores = device.poisoned<float>(want.size());
  if (!device.finish(wn_channel_scores(&p, nullptr))) return;
  compare_scores(outcome, device.download(p.scores, want.size()), want, 1e-5);
}

void run_planes(int width, int query_len, int gqa, Outcome& outcome) {
  Device device(outcome);
  const int capacity = 150;
  const std::vector<int32_t> used = {140, 0, 31, 150};
  const auto q = normal_f32(65, static_cast<size_t>(kRows) * query_len * kHeads * width);
  const auto plane = normal_f32(66, static_cast<size_t>(kRows) * kKvHeads * capacity * width);
  WnPlaneScoresParams p{q.data(), plane.data(), used.data(), nullptr, capacity, kRows, query_len, kHeads, kKvHeads, width, 150, WN_F32, gqa};
  std::vector<double> want(static_cast<size_t>(kRows) * lists_after_ref(gqa, kHeads, kKvHeads) * p.max_len);
  plane_scores_ref(p, want.data());
  p.q = device.upload(q);
  p.plane = device.upload(plane);
  p.used = device.upload(used);
  p.scores = device.poisoned<float>(want.size());
  if (!device.finish(wn_plane_scores(&p, nullptr))) return;
  compare_scores(outcome, device.download(p.scores, want.size()), want, 1e-5);
}

void run_projections(int head_dim, int longest, int rank, int last, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, longest, device);
  const auto basis = normal_f32(67, static_cast<size_t>(kKvHeads) * rank * head_dim);
  WnProjectSlotsParams p{setting.host, basis.data(), nullptr, rank, last, last > 0 ? last : longest, 1};
  std::vector<double> want(static_cast<size_t>(kRows) * kKvHeads * p.max_len * rank);
  project_slots_ref(p, want.data());
  p.cache = setting.device;
  p.basis = device.upload(basis);
  p.out = device.poisoned<float>(want.size());
  if (!device.finish(wn_project_slots(&p, nullptr))) return;
  compare(outcome, widen(device.download(p.out, want.size())), want, 1e-5);

  const auto q = normal_bf16(68, static_cast<size_t>(5) * kHeads * head_dim);
  WnProjectQueriesParams queries{q.data(), basis.data(), nullptr, 5, kHeads, kKvHeads, head_dim, rank, WN_BF16};
  std::vector<double> projected(static_cast<size_t>(5) * kHeads * rank);
  project_queries_ref(queries, projected.data());
  queries.q = device.upload(q);
  queries.basis = p.basis;
  queries.out = device.poisoned<float>(projected.size());
  if (!device.finish(wn_project_queries(&queries, nullptr))) return;
  compare(outcome, widen(device.download(queries.out, projected.size())), projected, 1e-5);
}

void run_cosines(int head_dim, int left, int right, Outcome& outcome) {
  Device device(outcome);
  Setting setting(head_dim, 200, device);
  std::vector<int32_t> lefts, rights, left_lens, right_lens;
  for (int list = 0; list < kRows * kKvHeads; list++) {
    left_lens.push_back(std::max(left - 3 * list, 0));
    right_lens.push_back(std::max(right - list, 0));
    for (int i = 0; i < left; i++) lefts.push_back(static_cast<int32_t>(hash_word(69, i + list) % setting.lens[list]));
    for (int i = 0; i < right; i++) rights.push_back(static_cast<int32_t>(hash_word(70, i + list) % setting.lens[list]));
  }
  WnPairwiseCosineParams p{setting.host, lefts.data(), left_lens.data(), rights.data(), right_lens.data(), nullptr, left, right, 0};
  std::vector<double> want(static_cast<size_t>(kRows) * kKvHeads * left * right);
  pairwise_cosine_ref(p, want.data());
  p.cache = setting.device;
  p.left = device.upload(lefts);
  p.left_lens = device.upload(left_lens);
  p.right = device.upload(rights);
  p.right_lens = device.upload(right_lens);
  p.out = device.poisoned<float>(want.size());
  if (!device.finish(wn_pairwise_cosine(&p, nullptr))) return;
  compare_scores(outcome, device.download(p.out, want.size()), want, 1e-5);
}

}  // namespace

void add_slot_score_cases(Cases& cases) {
  for (int d : {32, 80, 128, 256}) {
    for (int gqa = WN_GQA_NONE; gqa <= WN_GQA_ALL; gqa++)
      for (int lists : {1, kKvHeads, kHeads})
        cases.push_back({"channel_scores", "d" + std::to_string(d) + "-gqa" + std::to_string(gqa) + "-lists" + std::to_string(lists),
                         [=](Outcome& outcome) { run_channels(d, 70 + d, 1 + gqa % 2, lists, gqa, gqa % 2 ? WN_F32 : WN_BF16, outcome); }});
    for (int rank : {1, 8, 33})
      for (int last : {0, 5})
        cases.push_back({"project", "d" + std::to_string(d) + "-rank" + std::to_string(rank) + "-last" + std::to_string(last),
                         [=](Outcome& outcome) { run_projections(d, 130, rank, last, outcome); }});
    for (int right : {1, 64, 130})
      cases.push_back({"pairwise_cosine", "d" + std::to_string(d) + "-right" + std::to_string(right),
                       [=](Outcome& outcome) { run_cosines(d, 12, right, outcome); }});
  }
  for (int width : {1, 8, 100, 300})
    for (int gqa = WN_GQA_NONE; gqa <= WN_GQA_ALL; gqa++)
      cases.push_back({"plane_scores", "width" + std::to_string(width) + "-gqa" + std::to_string(gqa),
                       [=](Outcome& outcome) { run_planes(width, 1 + gqa % 3, gqa, outcome); }});
}

}  // namespace winnow::test
