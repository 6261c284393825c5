/// Every order in which producers, consumers and the copy engine of a kernel can go, from one recorded run of it.
///
/// What a thread does to barriers does not depend on the others, only when; so the events of one run are programs, and all
/// their interleavings can be walked. Threads of a group with the same events count as one actor with many arrivals.
#ifndef WINNOW_CUDA_TEST_EXPLORE_H
#define WINNOW_CUDA_TEST_EXPLORE_H

#include <map>
#include <string>
#include <vector>

#include "emulate.h"

namespace winnow::test {

using emulate::Event;

struct Actor {
  int group, threads;  ///< thread / 128, and how many threads go this way
  std::vector<Event> events;
};
/// Of a kRead, `barrier` is the one that its buffer is filled under and `value` how many copies had landed there.
struct Protocol {
  std::vector<Actor> actors;
  std::map<uint32_t, int> arrivals;  ///< of each barrier, a phase
};
Protocol protocol_of(const std::vector<Event>& recorded);

struct Exploration {
  long states = 0;
  std::string fault;  ///< empty when every order ends well
};
/// Faults: a deadlock; a read while a copy is under way to its buffer, or of another round than in the recorded run; a wait
/// that returns in different rounds in different orders; copies that the end does not wait for; too many states.
Exploration explore(const Protocol& protocol, long most_states = 3000000);

}  // namespace winnow::test

#endif
