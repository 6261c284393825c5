#include <algorithm>

#include "call.h"

/// Many calls in one: a program of op codes and arguments, run in order by the functions that serve the single calls.
namespace winnow {

namespace {

napi_value Replay(Call& call) {
  const Span<const double> program = call.Doubles(0, "program");
  const int64_t end = call.Int(1, "length", 0, program.size);
  const Span<const int32_t> lists = call.Ints(2, "lists");
  for (int64_t at = 0; at < end;) {
    const double code = program[at], count = at + 1 < end ? program[at + 1] : -1;
    if (!(code >= 0 && code < kNumReplayedOps)) call.Refuse("program", "the code of an op", std::to_string(code));
    const int op = static_cast<int>(code);
    if (!(count >= 0 && count <= static_cast<double>(std::min<int64_t>(end - at - 2, Call::kMaxArguments)))) {
      call.Refuse("program", std::string("arguments of ") + kReplayedOps[op] + " inside the program", std::to_string(count));
    }
    Call one(call.env, kReplayedOps[op], call.runtime);
    one.count = static_cast<size_t>(count);
    one.numbers = program.data + at + 2;
    one.lists = lists;
    call.runtime.replayed[op](one);
    at += 2 + static_cast<int64_t>(count);
  }
  return call.Nothing();
}

}  // namespace

void init_replay(napi_env env, napi_value exports, Runtime& runtime) { Register(env, exports, runtime, {{"replay", Replay}}); }

}  // namespace winnow
