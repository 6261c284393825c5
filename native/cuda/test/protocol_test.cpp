/// The pipelines of the Hopper kernels, from their own code, in every order that producers, groups and copies can take:
/// no order hangs, reads what is not there, or mistakes one round for another. One JSON line a run; exit code 1 on failure.
///
/// Then faults planted into recorded programs, each of which the walk must find: an arrival left out, a stage given back
/// before its reads have ended, a copy that nobody waits for, a wait for the wrong parity.
#include <algorithm>
#include <cstdio>

#include "protocols.h"
#include "tensor_map_words.h"

namespace winnow::test {
namespace {

int failures = 0;
void report(const std::string& name, bool passed, const std::string& detail) {
  std::printf("{\"check\":\"%s\",\"status\":\"%s\",\"detail\":\"%s\"}\n", name.c_str(), passed ? "ok" : "failed", detail.c_str());
  std::fflush(stdout);
  if (!passed) failures++;
}

using Plant = bool (*)(Actor& actor, size_t at);

bool leave_out(Actor& actor, size_t at) {
  if (actor.events[at].kind != Event::kArrive) return false;
  actor.events.erase(actor.events.begin() + static_cast<long>(at));
  return true;
}
/// Moves an arrival to before the retirement that it follows.
bool give_back_early(Actor& actor, size_t at) {
  auto& events = actor.events;
  if (events[at].kind != Event::kArrive || at == 0 || events[at - 1].kind != Event::kRetire) return false;
  std::swap(events[at - 1], events[at]);
  return true;
}
bool expect_nothing(Actor& actor, size_t at) {
  if (actor.events[at].kind != Event::kExpect) return false;
  actor.events[at].value = 0;
  return true;
}
bool wait_for_other_parity(Actor& actor, size_t at) {
  if (actor.events[at].kind != Event::kWait) return false;
  actor.events[at].value ^= 1;
  return true;
}

/// Every place where the fault can be planted, but for a barrier's last two rounds: those bear on nobody.
void check_plants(const RecordedRun& run, const char* what, Plant plant) {
  const Protocol sound = protocol_of(run.events);
  int planted = 0, found = 0;
  std::string missed;
  for (size_t actor = 0; actor < sound.actors.size(); actor++)
    for (size_t at = 0; at < sound.actors[actor].events.size(); at++) {
      const Event& event = sound.actors[actor].events[at];
      const auto later = std::count_if(sound.actors[actor].events.begin() + static_cast<long>(at) + 1, sound.actors[actor].events.end(),
                                       [&](const Event& e) { return e.barrier == event.barrier && e.kind == event.kind; });
      if (later < 2) continue;
      Protocol faulty = sound;
      if (!plant(faulty.actors[actor], at)) continue;
      planted++;
      if (explore(faulty).fault.empty())
        missed += " " + std::to_string(actor) + "/" + std::to_string(at);
      else
        found++;
    }
  report(std::string(what) + " in " + run.name, planted > 0 && found == planted,
         std::to_string(found) + " of " + std::to_string(planted) + " found" + (missed.empty() ? "" : "; missed" + missed));
}

}  // namespace
}  // namespace winnow::test

int main() {
  using namespace winnow::test;
  winnow::emulate::multiprocessors = 1;
  std::vector<RecordedRun> runs = prefill_runs();
  for (auto& run : union_runs()) runs.push_back(std::move(run));
  for (auto& run : decode_runs()) runs.push_back(std::move(run));
  for (auto& run : wide_runs()) runs.push_back(std::move(run));
  for (const RecordedRun& run : runs) {
    const Exploration explored = explore(protocol_of(run.events));
    const std::string said = std::to_string(explored.states) + " states" + (explored.fault.empty() ? "" : ": " + explored.fault);
    report(run.name + (run.is_planted ? " (planted)" : ""), explored.fault.empty() != run.is_planted, said);
  }
  const std::vector<std::string> planted = {"prefill in order, 2 groups, 2 stages, steps 5", "prefill overlapped, 2 groups, 2 stages, steps 5",
                                            "union 2 stages, blocks 10",
                                            "decode 2 groups, 2 stages, tiles 7", "wide 2 stages, steps 7"};
  for (const RecordedRun& run : runs) {
    if (std::find(planted.begin(), planted.end(), run.name) == planted.end()) continue;
    check_plants(run, "an arrival left out", leave_out);
    check_plants(run, "a stage given back early", give_back_early);
    check_plants(run, "bytes that are not expected", expect_nothing);
    check_plants(run, "a wait for the other parity", wait_for_other_parity);
  }
  std::printf("{\"summary\":{\"failed\":%d}}\n", failures);
  return failures ? 1 : 0;
}
