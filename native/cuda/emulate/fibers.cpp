/// Blocks, and clusters of them, as sets of fibers in one thread of the host.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "emulate.h"

// Saves the callee-saved registers and the stack pointer, takes those of another fiber.
extern "C" void winnow_switch_fiber(void** save, void* take);
asm(R"(
.text
.globl winnow_switch_fiber
winnow_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace winnow::emulate {
namespace {

constexpr size_t kStackBytes = 128 << 10, kSharedBytes = 232448;
constexpr size_t kMostBlocks = 8;  // of a cluster
alignas(1024) char shared_memory[kMostBlocks * kSharedBytes];

struct Copy {
  void* target;
  const void* source;
  int bytes;
  bool valid;
};
struct Fiber {
  void* stack_pointer = nullptr;
  std::unique_ptr<char[]> stack;
  uint3 index{}, block_index{};
  int rank = 0, lane_of_block = 0;  ///< of its block in the cluster, of the thread in its block
  bool done = false;
  const int* waits_for = nullptr;  ///< a phase that must move on
  int seen_phase = 0;
  bool (*ready)(const void* what, int value) = nullptr;  ///< or this must hold
  const void* what = nullptr;
  int value = 0;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
};
struct Warp {
  void* mine[32] = {};
  uint32_t arrived = 0, live = 0;
  int phase = 0;
};
/// Threads that wait for each other: those of a block, or of a cluster.
struct Meeting {
  int live = 0, arrived = 0, phase = 0;
  Vote vote{1, 0, 0}, result{};
  void release() {
    result = vote;
    vote = {1, 0, 0};
    arrived = 0;
    phase++;
  }
  void leave() {
    live--;
    if (live > 0 && arrived == live) release();
  }
};
/// The blocks of one cluster, which run together.
struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Meeting blocks[kMostBlocks], cluster;
  int live = 0;
  int current = 0;
  void* scheduler = nullptr;
  const std::function<void()>* body = nullptr;
};
Block* block = nullptr;

void give_way() {
  Fiber& self = block->fibers[block->current];
  winnow_switch_fiber(&self.stack_pointer, block->scheduler);
}
void wait_for(const int& phase) {
  Fiber& self = block->fibers[block->current];
  self.waits_for = &phase;
  self.seen_phase = phase;
  give_way();
}
bool can_go_on(const Fiber& fiber) {
  return !fiber.done && !(fiber.waits_for && *fiber.waits_for == fiber.seen_phase) &&
         !(fiber.ready && !fiber.ready(fiber.what, fiber.value));
}
void go_on(int i) {
  Fiber& fiber = block->fibers[i];
  fiber.waits_for = nullptr;
  fiber.ready = nullptr;
  block->current = i;
  threadIdx = fiber.index;
  blockIdx = fiber.block_index;
  winnow_switch_fiber(&block->scheduler, fiber.stack_pointer);
}
Warp& warp_of(const Fiber& fiber) { return block->warps[fiber.rank * kWarpsOfBlock + fiber.lane_of_block / 32]; }
[[noreturn]] void begin_fiber() {
  (*block->body)();
  Fiber& self = block->fibers[block->current];
  self.done = true;
  warp_of(self).live &= ~(1u << lane());
  block->live--;
  block->blocks[self.rank].leave();
  block->cluster.leave();
  // Nobody may read what a block that has ended held.
  if (block->blocks[self.rank].live == 0 && block->cluster.live > 0) std::memset(shared_of(self.rank), 0xff, kSharedBytes);
  give_way();
  std::abort();
}

void prepare(Fiber& fiber) {
  if (!fiber.stack) fiber.stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  auto top = reinterpret_cast<uintptr_t>(fiber.stack.get() + kStackBytes) & ~uintptr_t{15};
  auto* words = reinterpret_cast<void**>(top) - 8;  // six registers, the entry and its return address
  for (int i = 0; i < 8; i++) words[i] = nullptr;
  words[6] = reinterpret_cast<void*>(&begin_fiber);
  fiber.stack_pointer = words;
  fiber.done = false;
  fiber.waits_for = nullptr;
  fiber.ready = nullptr;
  fiber.groups.clear();
  fiber.open.clear();
}

bool run_all(int threads, bool backwards) {
  bool moved = false;
  for (int step = 0; step < threads; step++) {
    const int i = backwards ? threads - 1 - step : step;
    if (!can_go_on(block->fibers[i])) continue;
    moved = true;
    go_on(i);
  }
  return moved;
}
/// One turn of the highest warp in rank that can go on.
bool run_first_warp(int threads) {
  for (const int first : order.rank) {
    bool moved = false;
    for (int i = first; i < std::min(first + 32, threads); i++)
      if (can_go_on(block->fibers[i])) {
        moved = true;
        go_on(i);
      }
    if (moved) return true;
  }
  return false;
}

/// Blocks `number` .. of one cluster, whose places in the grid are `places`.
void run_cluster(dim3 size, const std::vector<uint3>& places, bool backwards, unsigned number) {
  const int threads = static_cast<int>(size.x * size.y * size.z), blocks = static_cast<int>(places.size());
  block->warps.assign(blocks * kWarpsOfBlock, Warp{});
  block->live = blocks * threads;
  block->cluster = {block->live};
  for (int rank = 0; rank < blocks; rank++) {
    block->blocks[rank] = {threads};
    for (int i = 0; i < threads; i++) {
      Fiber& fiber = block->fibers[rank * threads + i];
      prepare(fiber);
      const unsigned n = static_cast<unsigned>(i);
      fiber.index = {n % size.x, n / size.x % size.y, n / size.x / size.y};
      fiber.block_index = places[rank];
      fiber.rank = rank;
      fiber.lane_of_block = i;
      warp_of(fiber).live |= 1u << (i % 32);
    }
  }
  std::memset(shared_memory, 0xff, blocks * kSharedBytes);
  begin_asynchronous(threads, blocks, number);
  while (block->live > 0) {
    const int all = blocks * threads;
    const bool turned = order.in_use ? order.turns == Turns::kBackward : backwards;
    bool moved = order.in_use && order.turns == Turns::kRanked ? run_first_warp(all) : run_all(all, turned);
    if (order.in_use) moved |= advance_asynchronous(!moved);
    if (!moved) fail("a block waits for ever");
  }
  end_asynchronous();
}

}  // namespace

Order order;
char* shared_of(int rank) { return shared_memory + rank * kSharedBytes; }
char* dynamic_shared() { return shared_of(rank_in_cluster()); }
int rank_in_cluster() { return block->fibers[block->current].rank; }
int thread() { return block->fibers[block->current].lane_of_block; }
int lane() { return thread() % 32; }
void fail(const char* why) {
  std::fprintf(stderr, "emulation: block (%u, %u, %u), thread %u: %s\n", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, why);
  std::abort();
}
void wait_until(bool (*ready)(const void*, int), const void* what, int value) {
  if (ready(what, value)) return;
  Fiber& self = block->fibers[block->current];
  self.ready = ready;
  self.what = what;
  self.value = value;
  give_way();
}

void run(dim3 grid, dim3 size, size_t shared_bytes, const std::function<void()>& body, unsigned cluster) {
  if (shared_bytes > kSharedBytes || cluster > kMostBlocks || grid.x % cluster != 0) std::abort();
  static Block state;
  block = &state;
  const size_t threads = static_cast<size_t>(size.x) * size.y * size.z * cluster;
  if (block->fibers.size() < threads) block->fibers.resize(threads);
  block->body = &body;
  gridDim = grid;
  blockDim = size;
  bool backwards = false;
  unsigned number = 0;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x += cluster, backwards = !backwards) {
        std::vector<uint3> places;
        for (unsigned rank = 0; rank < cluster; rank++) places.push_back({x + rank, y, z});
        run_cluster(size, places, backwards, number++);
      }
}

namespace {
Vote vote_of(Meeting& meeting, bool value) {
  meeting.vote.all &= value;
  meeting.vote.any |= value;
  meeting.vote.count += value;
  if (++meeting.arrived == meeting.live)
    meeting.release();
  else
    wait_for(meeting.phase);
  return meeting.result;
}
}  // namespace
Vote block_vote(bool value) { return vote_of(block->blocks[rank_in_cluster()], value); }
void cluster_meeting() { vote_of(block->cluster, true); }

void meet(uint32_t mask, void* mine, const std::function<void(void* const (&of)[32])>& compute) {
  Warp& warp = warp_of(block->fibers[block->current]);
  const int own = lane();
  warp.mine[own] = mine;
  warp.arrived |= 1u << own;
  const uint32_t expected = mask & warp.live;
  if ((warp.arrived & expected) != expected) {
    wait_for(warp.phase);
    return;
  }
  void* of[32] = {};
  for (int i = 0; i < 32; i++)
    if (expected >> i & 1) of[i] = warp.mine[i];
  compute(of);
  warp.arrived &= ~expected;
  warp.phase++;
}

void copy_later(void* target, const void* source, int bytes, bool valid) {
  block->fibers[block->current].open.push_back({target, source, bytes, valid});
}
void commit_copies() {
  Fiber& self = block->fibers[block->current];
  self.groups.push_back(std::move(self.open));
  self.open.clear();
}
void finish_copies(int groups_left) {
  auto& groups = block->fibers[block->current].groups;
  while (static_cast<int>(groups.size()) > groups_left) {
    for (const Copy& copy : groups.front())
      copy.valid ? static_cast<void>(std::memcpy(copy.target, copy.source, copy.bytes))
                 : static_cast<void>(std::memset(copy.target, 0, copy.bytes));
    groups.erase(groups.begin());
  }
}

}  // namespace winnow::emulate
