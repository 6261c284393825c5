#include "explore.h"

#include <iterator>
#include <unordered_set>

namespace winnow::test {
namespace {

/// Barriers and buffers as they stand; small enough to be the key of a state.
struct BarrierState {
  int16_t pending = 0;
  uint16_t rounds = 0, landed = 0, under_way = 0;
  int32_t bytes = 0;
};
/// A step begins with at most one wait or retirement and runs to before the next.
struct Steps {
  std::vector<std::pair<size_t, size_t>> ranges;
};
struct Places {
  std::vector<uint16_t> step;  ///< of each actor
  std::vector<BarrierState> barriers;
  std::string key() const {
    std::string text(reinterpret_cast<const char*>(step.data()), step.size() * sizeof(uint16_t));
    return text.append(reinterpret_cast<const char*>(barriers.data()), barriers.size() * sizeof(BarrierState));
  }
};

class Explorer {
 public:
  explicit Explorer(const Protocol& protocol) : protocol_(protocol) {
    for (const auto& [barrier, arrivals] : protocol.arrivals) {
      index_[barrier] = static_cast<int>(start_.barriers.size());
      expected_.push_back(arrivals);
      start_.barriers.push_back({static_cast<int16_t>(arrivals)});
    }
    copies_.resize(expected_.size());
    for (const Actor& actor : protocol.actors) {
      Steps steps;
      for (size_t i = 0; i < actor.events.size(); i++) {
        const Event& event = actor.events[i];
        if (event.kind == Event::kCopy) copies_[index_.at(event.barrier)].push_back(event.value);
        if (i == 0 || event.kind == Event::kWait || event.kind == Event::kRetire) steps.ranges.push_back({i, i});
        steps.ranges.back().second = i + 1;
      }
      steps_.push_back(steps);
      rounds_seen_.emplace_back(actor.events.size(), -1);
      start_.step.push_back(0);
    }
  }

  Exploration run(long most) {
    std::vector<Places> open{start_};
    seen_.insert(start_.key());
    while (!open.empty() && result_.fault.empty()) {
      const Places places = open.back();
      open.pop_back();
      if (++result_.states > most) {
        result_.fault = "too many states";
        break;
      }
      bool stuck = true, ended = true;
      auto go = [&](const Places& next) {
        stuck = false;
        if (seen_.insert(next.key()).second) open.push_back(next);
      };
      for (size_t barrier = 0; barrier < places.barriers.size(); barrier++)
        if (places.barriers[barrier].under_way > 0) {
          ended = false;
          Places next = places;
          land(next.barriers[barrier], static_cast<int>(barrier));
          go(next);
        }
      for (size_t actor = 0; actor < steps_.size(); actor++) {
        if (places.step[actor] == steps_[actor].ranges.size()) continue;
        ended = false;
        Places next = places;
        if (take(next, actor)) go(next);
        if (!result_.fault.empty()) break;
      }
      if (stuck && !ended && result_.fault.empty()) fail("deadlock", 0, 0);
    }
    return result_;
  }

 private:
  void fail(const char* what, size_t actor, size_t event) {
    result_.fault = std::string(what) + ", group " + std::to_string(protocol_.actors[actor].group) + ", event " + std::to_string(event);
  }
  void settle(BarrierState& barrier, int which) {
    if (barrier.pending > 0 || barrier.bytes != 0) return;
    barrier.rounds++;
    barrier.pending = static_cast<int16_t>(expected_[which]);
  }
  void land(BarrierState& barrier, int which) {
    barrier.bytes -= copies_[which][barrier.landed++];
    barrier.under_way--;
    settle(barrier, which);
  }
  /// What a product reads must be whole, and of the round that it was in the recorded run.
  void check_read(const Places& places, const Event& read, size_t actor, size_t event) {
    const BarrierState& barrier = places.barriers[index_.at(read.barrier)];
    if (barrier.under_way > 0) fail("a read while a copy is under way", actor, event);
    if (barrier.landed != read.value) fail("a read of another round", actor, event);
  }
  /// False where the actor must wait.
  bool take(Places& places, size_t actor) {
    const std::vector<Event>& events = protocol_.actors[actor].events;
    const auto [first, end] = steps_[actor].ranges[places.step[actor]];
    for (size_t i = first; i < end; i++) {
      const Event& event = events[i];
      if (event.kind == Event::kCommit) continue;
      if (event.kind == Event::kRetire) {
        retire(places, actor, i);
        continue;
      }
      if (event.kind == Event::kRead) {
        check_read(places, event, actor, i);
        continue;
      }
      const int which = index_.at(event.barrier);
      BarrierState& barrier = places.barriers[which];
      if (event.kind == Event::kWait) {
        if (barrier.rounds % 2 == event.value) return false;
        int& round = rounds_seen_[actor][i];
        if (round < 0) round = barrier.rounds;
        if (round != barrier.rounds) fail("a wait that returns in different rounds", actor, i);
      } else if (event.kind == Event::kCopy) {
        barrier.under_way++;
      } else {
        if (event.kind == Event::kExpect) barrier.bytes += event.value;
        barrier.pending = static_cast<int16_t>(barrier.pending - protocol_.actors[actor].threads);
        if (barrier.pending < 0) fail("more arrivals than a barrier expects", actor, i);
        settle(barrier, which);
      }
    }
    places.step[actor]++;
    return true;
  }
  /// Checks once more what the products read that end here: from their issue to now nothing may have landed there.
  void retire(const Places& places, size_t actor, size_t at) {
    const std::vector<Event>& events = protocol_.actors[actor].events;
    int commits = 0;
    for (size_t i = at; i-- > 0;) {
      if (events[i].kind == Event::kRetire && events[i].value == 0) break;
      commits += events[i].kind == Event::kCommit;
      // Groups younger than those that stay under way end here (older ones may have ended before, which is harmless to ask).
      if (events[i].kind == Event::kRead && commits > events[at].value && !ended_before(events, i, at)) check_read(places, events[i], actor, at);
    }
  }
  /// Whether an earlier retirement has already ended the group of this read.
  static bool ended_before(const std::vector<Event>& events, size_t read, size_t at) {
    for (size_t i = read + 1; i < at; i++) {
      if (events[i].kind != Event::kRetire) continue;
      int commits = 0;
      for (size_t j = read + 1; j < i; j++) commits += events[j].kind == Event::kCommit;
      if (commits > events[i].value) return true;
    }
    return false;
  }

  const Protocol& protocol_;
  std::map<uint32_t, int> index_;
  std::vector<int> expected_;
  std::vector<std::vector<int>> copies_;
  std::vector<Steps> steps_;
  std::vector<std::vector<int>> rounds_seen_;
  Places start_;
  std::unordered_set<std::string> seen_;
  Exploration result_;
};

}  // namespace

Protocol protocol_of(const std::vector<Event>& recorded) {
  Protocol protocol;
  struct Buffer {
    uint32_t end, barrier;
  };
  std::map<uint32_t, Buffer> buffers;  // by where a copy begins
  for (const Event& event : recorded) {
    if (event.kind == Event::kBegin) protocol.arrivals[event.barrier] = event.value;
    if (event.kind == Event::kCopy) buffers[event.target] = {event.target + static_cast<uint32_t>(event.value), event.barrier};
  }
  std::map<int, std::vector<Event>> threads;
  std::map<uint32_t, int> landed;
  for (Event event : recorded) {
    if (event.kind == Event::kLand) landed[event.barrier]++;
    if (event.kind == Event::kBegin || event.kind == Event::kLand) continue;
    if (event.kind == Event::kRead) {
      auto behind = buffers.upper_bound(event.barrier);
      if (behind == buffers.begin()) continue;
      const Buffer& buffer = std::prev(behind)->second;
      if (event.barrier >= buffer.end) continue;  // written by the group itself
      event = {Event::kRead, event.thread, buffer.barrier, landed[buffer.barrier], 0};
    }
    threads[event.thread].push_back(event);
  }
  for (auto& [thread, events] : threads) {
    bool shows = false;
    for (const Event& event : events)
      shows |= event.kind == Event::kArrive || event.kind == Event::kExpect || event.kind == Event::kCopy || event.kind == Event::kRead;
    if (!shows) continue;  // only waits: nobody notices
    auto same = [&, group = thread / 128](const Actor& actor) {
      if (actor.group != group || actor.events.size() != events.size()) return false;
      for (size_t i = 0; i < events.size(); i++) {
        const Event &a = actor.events[i], &b = events[i];
        if (a.kind != b.kind || a.barrier != b.barrier || a.value != b.value) return false;
      }
      return true;
    };
    auto at = protocol.actors.begin();
    while (at != protocol.actors.end() && !same(*at)) at++;
    if (at != protocol.actors.end())
      at->threads++;
    else
      protocol.actors.push_back({thread / 128, 1, std::move(events)});
  }
  return protocol;
}

Exploration explore(const Protocol& protocol, long most_states) { return Explorer(protocol).run(most_states); }

}  // namespace winnow::test
