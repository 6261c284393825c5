#include <algorithm>

#include "support.h"

namespace winnow::test {
namespace {

/// kind 0 normal, 1 weights of 0 or more with gaps, 2 a list without entries among others
std::vector<float> list_values(int kind, int lists, int length) {
  auto x = normal_f32(171, static_cast<size_t>(lists) * length, 3);
  for (size_t i = 0; i < x.size(); i++) {
    if (kind == 1) x[i] = hash_word(172, i) % 4 == 0 ? 0.0f : std::fabs(x[i]);
    if (hash_word(173, i) % 5 == 0 || (kind == 2 && static_cast<int>(i) / length % 2 == 1)) x[i] = -INFINITY;
  }
  return x;
}

void run_values(int op, int kind, int lists, int length, Outcome& outcome) {
  const auto x = list_values(kind, lists, length);
  const size_t count = op == WN_LIST_SOFTMAX ? x.size() : lists;
  WnListValuesParams p{x.data(), nullptr, lists, length, op};
  std::vector<double> want(count);
  list_values_ref(p, want.data());
  Device device(outcome);
  p.x = device.upload(x);
  p.out = device.poisoned_elements(op == WN_LIST_ARGMAX ? WN_I32 : WN_F32, count);
  if (!device.finish(wn_list_values(&p, nullptr))) return;
  const auto got = device.elements(op == WN_LIST_ARGMAX ? WN_I32 : WN_F32, p.out, count);
  compare_scores(outcome, std::vector<float>(got.begin(), got.end()), want, op == WN_LIST_ARGMAX ? 0 : 1e-5);
}

/// Rows of two lists: yes 5 wide, no 9 wide, lines of 11.
void run_choose(bool is_integer, bool is_predicate_integer, Outcome& outcome) {
  const int rows = 6, lists = 2, width = 5, other_width = 9, length = 11;
  const auto values = normal_f32(191, rows * lists * width), other = normal_f32(192, rows * lists * other_width);
  const std::vector<float> floats = {1, 0, -1, -0.0f, 1e-40f, NAN};
  const std::vector<int32_t> integers = {1, 0, -1, 7, INT32_MIN, INT32_MAX};
  WnListMovesParams p{};
  p.num_lists = rows * lists;
  p.width = width;
  p.unit = other_width;
  p.length = length;
  p.op = WN_MOVE_CHOOSE;
  p.is_integer = is_integer;
  p.is_predicate_integer = is_predicate_integer;
  p.how = lists;
  std::vector<int32_t> want(static_cast<size_t>(rows) * lists * length);
  WnListMovesParams host = p;
  host.values = values.data();
  host.other = other.data();
  host.index = is_predicate_integer ? integers.data() : reinterpret_cast<const int32_t*>(floats.data());
  host.out = want.data();
  list_moves_ref(host);
  Device device(outcome);
  p.values = device.upload(values);
  p.other = device.upload(other);
  p.index = is_predicate_integer ? device.upload(integers) : reinterpret_cast<int32_t*>(device.upload(floats));
  auto* out = device.poisoned<int32_t>(want.size());
  p.out = out;
  if (!device.finish(wn_list_moves(&p, nullptr))) return;
  compare_exact(outcome, device.download(out, want.size()), want, "entries");
}

void run_moves(int op, int lists, int width, int length, bool is_integer, Outcome& outcome) {
  const int unit = op == WN_MOVE_WRITE ? 5 : 1;
  WnListMovesParams p{};
  p.num_lists = lists;
  p.width = width;
  p.length = length;
  p.unit = unit;
  p.op = op;
  p.is_integer = is_integer;
  p.how = width % 3;
  const auto values = normal_f32(181, static_cast<size_t>(lists) * std::max(width, length * unit) * (op == WN_MOVE_REDUCE ? length : 1));
  std::vector<int32_t> index(static_cast<size_t>(lists) * length), lens(lists), index_lens(lists);
  for (int list = 0; list < lists; list++) {
    int next = 0;
    for (int i = 0; i < length; i++) {
      next += static_cast<int>(hash_word(182, i + list * 1000) % 3) + (i > 0);
      index[static_cast<size_t>(list) * length + i] = next < width && hash_word(183, i) % 7 != 0 ? next : op == WN_MOVE_COMPLEMENT ? width + i : -1;
    }
    lens[list] = op == WN_MOVE_WRITE        ? length + list % (width - length + 1)
                 : op == WN_MOVE_COMPLEMENT ? width - list % std::min(width, 3)
                 : list % 4 == 3            ? -1
                                            : list % (std::min(width, length) + 1);
    index_lens[list] = list % 4 == 3 ? -1 : length - list % std::min(length, 2);
    if (op == WN_MOVE_COMPLEMENT) std::sort(index.begin() + static_cast<long>(list) * length, index.begin() + static_cast<long>(list + 1) * length);
  }
  const size_t count = op == WN_MOVE_WRITE ? static_cast<size_t>(lists) * width * unit
                       : op == WN_MOVE_TAKE || op == WN_MOVE_READ ? static_cast<size_t>(lists) * length
                                                                  : static_cast<size_t>(lists) * width;
  std::vector<int32_t> want(count, 7), want_lens(lists);
  const auto before = want;
  WnListMovesParams host = p;
  host.values = values.data();
  host.index = index.data();
  host.lens = lens.data();
  host.index_lens = index_lens.data();
  host.out = want.data();
  host.out_lens = want_lens.data();
  list_moves_ref(host);
  Device device(outcome);
  p.values = device.upload(values);
  p.index = device.upload(index);
  p.lens = device.upload(lens);
  p.index_lens = device.upload(index_lens);
  auto* out = device.upload(before);
  p.out = out;
  p.out_lens = device.poisoned<int32_t>(lists);
  if (!device.finish(wn_list_moves(&p, nullptr))) return;
  compare_exact(outcome, device.download(out, count), want, "entries");
  if (op == WN_MOVE_COMPLEMENT) compare_exact(outcome, device.download(p.out_lens, lists), want_lens, "lens");
}

}  // namespace

void add_list_cases(Cases& cases) {
  for (int op : {int{WN_LIST_SOFTMAX}, int{WN_LIST_ENTROPY}, int{WN_LIST_ARGMAX}})
    for (int kind : {0, 1, 2})
      for (auto [lists, length] : {std::pair{1, 1}, {3, 33}, {8, 1000}, {2, 40000}})
        if (op != WN_LIST_ENTROPY || kind == 1)
          cases.push_back({"list_values", std::to_string(op) + "-" + std::to_string(kind) + "-" + std::to_string(lists) + "-" + std::to_string(length),
                           [=](Outcome& outcome) { run_values(op, kind, lists, length, outcome); }});
  for (bool is_integer : {false, true})
    for (bool predicate : {false, true})
      cases.push_back({"list_moves", "choose-" + std::to_string(is_integer) + "-" + std::to_string(predicate),
                       [=](Outcome& outcome) { run_choose(is_integer, predicate, outcome); }});
  for (int op = WN_MOVE_TAKE; op <= WN_MOVE_REDUCE; op++)
    for (auto [lists, width, length] : {std::tuple{1, 1, 1}, {5, 33, 7}, {8, 1000, 300}, {3, 700, 600}})
      for (bool is_integer : {false, true})
        cases.push_back({"list_moves", std::to_string(op) + "-" + std::to_string(lists) + "-" + std::to_string(width) + "-" + std::to_string(is_integer),
                         [=](Outcome& outcome) { run_moves(op, lists, width, length, is_integer, outcome); }});
}

}  // namespace winnow::test
