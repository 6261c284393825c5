/// Hopper's asynchronous machinery, one block at a time. See hopper.h.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstdint>
#include <deque>
#include <iterator>

#include "emulate.h"
#include "tensor_map_words.h"

namespace winnow::emulate {
namespace {

/// A barrier of 64 bits as this machine keeps it; the hardware's own layout is nobody's business.
struct Barrier {
  uint64_t phase : 1, mark : 7, pending : 12, expected : 12;
  int64_t bytes : 32;
};
static_assert(sizeof(Barrier) == sizeof(uint64_t));
constexpr unsigned kMark = 0x2a;

struct BulkCopy {
  std::vector<char> bytes;
  std::vector<uint32_t> places;  ///< target of each 16 bytes
  uint64_t* barrier;
  char* shared;  ///< of the block that it goes to
};
struct WarpProducts {
  struct Product {
    GroupProduct of[32];
  };
  std::vector<Product> open;
  std::deque<std::vector<Product>> groups;
  int issued = 0;
};
struct NamedBarrier {
  int arrived = 0, phase = 0;
};
struct State {
  std::vector<BulkCopy> copies;
  std::vector<WarpProducts> warps;
  NamedBarrier named[8][16];
  uint32_t random = 1;
  bool late = true;
};
State state;
unsigned chosen_order = 0;
std::vector<Event>* recorder = nullptr;

uint32_t draw() {
  state.random = state.random * 1664525u + 1013904223u;
  return state.random >> 8;
}
uint32_t address_of(const void* pointer) {
  const auto address = static_cast<uint32_t>(static_cast<const char*>(pointer) - dynamic_shared());
  return address;
}
void note(Event::Kind kind, const void* barrier, int value, uint32_t target = 0) {
  if (recorder) recorder->push_back({kind, thread(), address_of(barrier), value, target});
}
int warp_in_cluster() { return rank_in_cluster() * kWarpsOfBlock + thread() / 32; }
Barrier& checked(uint64_t* word) {
  auto& barrier = *reinterpret_cast<Barrier*>(word);
  if (barrier.mark != kMark) fail("a barrier that nobody has begun");
  return barrier;
}
void settle(Barrier& barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  barrier.phase ^= 1;
  barrier.pending = barrier.expected;
}

void land(size_t i) {
  BulkCopy copy = std::move(state.copies[i]);
  state.copies.erase(state.copies.begin() + static_cast<long>(i));
  for (size_t piece = 0; piece < copy.places.size(); piece++)
    std::memcpy(copy.shared + copy.places[piece], copy.bytes.data() + 16 * piece, 16);
  note(Event::kLand, copy.barrier, static_cast<int>(copy.bytes.size()));
  Barrier& barrier = checked(copy.barrier);
  barrier.bytes -= static_cast<int64_t>(copy.bytes.size());
  settle(barrier);
}
void fly(BulkCopy copy) {
  for (const uint32_t place : copy.places) std::memset(copy.shared + place, 0xff, 16);
  state.copies.push_back(std::move(copy));
}

float widen(uint16_t word) { return std::bit_cast<float>(static_cast<uint32_t>(word) << 16); }
uint32_t swizzled(uint32_t address) { return address ^ ((address >> 7 & 7) << 4); }

/// Operand behind a descriptor: element (mn, k).
struct Operand {
  uint32_t start, leading, stride;
  bool transposed;
  Operand(uint64_t descriptor, bool is_transposed)
      : start((descriptor & 0x3fff) << 4), leading((descriptor >> 16 & 0x3fff) << 4), stride((descriptor >> 32 & 0x3fff) << 4),
        transposed(is_transposed) {
    if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0) fail("an operand without the 128-byte swizzle");
  }
  float at(int mn, int k) const {
    const uint32_t byte = transposed ? mn / 64 * leading + k / 8 * stride + k % 8 * 128 + mn % 64 * 2
                                     : mn / 8 * stride + mn % 8 * 128 + k * 2;
    uint16_t word;
    std::memcpy(&word, dynamic_shared() + swizzled(start + byte), 2);
    return widen(word);
  }
};

void multiply(const WarpProducts::Product& product, int warp) {
  const GroupProduct& first = product.of[0];
  const int columns = 2 * first.length;
  float a[16][16], b[16][256];
  if (first.words) {
    for (int lane = 0; lane < 32; lane++)
      for (int r = 0; r < 4; r++)
        for (int half = 0; half < 2; half++)
          a[lane / 4 + 8 * (r & 1)][2 * (lane % 4) + 8 * (r / 2) + half] =
              widen(static_cast<uint16_t>(product.of[lane].words[r] >> (16 * half)));
  } else {
    const Operand operand(first.a, first.transposed_a);
    for (int row = 0; row < 16; row++)
      for (int k = 0; k < 16; k++) a[row][k] = operand.at(16 * (warp % 4) + row, k);
  }
  const Operand operand(first.b, first.transposed_b);
  for (int k = 0; k < 16; k++)
    for (int n = 0; n < columns; n++) b[k][n] = operand.at(n, k);
  float d[16][256] = {};
  for (int row = 0; row < 16; row++)
    for (int k = 0; k < 16; k++)
      for (int n = 0; n < columns; n++) d[row][n] += a[row][k] * b[k][n];
  for (int lane = 0; lane < 32; lane++) {
    const GroupProduct& own = product.of[lane];
    for (int i = 0; i < own.length; i++) {
      const float sum = d[lane / 4 + 8 * ((i >> 1) & 1)][8 * (i / 4) + 2 * (lane % 4) + (i & 1)];
      own.d[i] = own.accumulate ? own.d[i] + sum : sum;
    }
  }
}
WarpProducts& own_warp() { return state.warps[warp_in_cluster()]; }
/// `body` once for the warp, when all its lanes have come.
void once_a_warp(const std::function<void()>& body) {
  int mine = 0;
  meet(~0u, &mine, [&](void* const(&)[32]) { body(); });
}
void retire(WarpProducts& warp) {
  for (const auto& product : warp.groups.front()) multiply(product, thread() / 32);
  warp.groups.pop_front();
}

}  // namespace

void record(std::vector<Event>* into) { recorder = into; }
void set_order(unsigned value) { chosen_order = value; }

void begin_asynchronous(int threads, int blocks, unsigned place) {
  const unsigned number = place + chosen_order;
  state.copies.clear();
  state.warps.assign(blocks * kWarpsOfBlock, {});
  for (auto& of_block : state.named)
    for (auto& named : of_block) named = {};
  state.random = number * 2654435761u + 1;
  state.late = number % 2 == 0;
  order.in_use = false;
  order.turns = number % 3 == 0 ? Turns::kRanked : number % 3 == 1 ? Turns::kForward : Turns::kBackward;
  const int of_block = (threads + 31) / 32, warps = blocks * of_block;
  for (int i = 0; i < static_cast<int>(std::size(order.rank)); i++)
    order.rank[i] = i < warps ? i / of_block * threads + i % of_block * 32 : INT32_MAX - 32;
  for (int i = warps - 1; i > 0; i--) std::swap(order.rank[i], order.rank[draw() % (i + 1)]);
}
bool advance_asynchronous(bool stuck) {
  if (state.copies.empty()) return false;
  if (state.late) {
    // The youngest first: nothing promises that copies land in the order of their issue.
    if (stuck) land(state.copies.size() - 1);
    return stuck;
  }
  const size_t i = draw() % (2 * state.copies.size());
  if (i >= state.copies.size() && !stuck) return false;
  land(i % state.copies.size());
  return true;
}
void end_asynchronous() {
  if (!state.copies.empty()) fail("a block ended while copies were under way");
  for (size_t warp = 0; warp < state.warps.size(); warp++) {
    if (!state.warps[warp].open.empty() || !state.warps[warp].groups.empty()) fail("a block ended before its products");
    if (state.warps[warp].issued != state.warps[warp / 4 * 4].issued) fail("warps of a group issued different products");
  }
}

void barrier_begin(uint64_t* word, int arrivals) {
  order.in_use = true;
  note(Event::kBegin, word, arrivals);
  const auto count = static_cast<uint64_t>(arrivals);
  *reinterpret_cast<Barrier*>(word) = {0, kMark, count, count, 0};
}
void barrier_arrival(uint64_t* word) {
  note(Event::kArrive, word, 1);
  Barrier& barrier = checked(word);
  barrier.pending--;
  settle(barrier);
}
void barrier_expect_bytes(uint64_t* word, int bytes) {
  note(Event::kExpect, word, bytes);
  Barrier& barrier = checked(word);
  barrier.bytes += bytes;
  barrier.pending--;
  settle(barrier);
}
void barrier_wait_for(uint64_t* word, int parity) {
  note(Event::kWait, word, parity);
  checked(word);
  // A phase of this parity is over when the current one has the other.
  wait_until([](const void* what, int value) { return int(static_cast<const Barrier*>(what)->phase) != value; }, word, parity);
}

void named_barrier(int id, int threads, bool waits) {
  NamedBarrier& barrier = state.named[rank_in_cluster()][id];
  const int phase = barrier.phase;
  if (++barrier.arrived == threads) {
    barrier.arrived = 0;
    barrier.phase++;
  } else if (waits) {
    wait_until([](const void* what, int value) { return static_cast<const NamedBarrier*>(what)->phase != value; }, &barrier, phase);
  }
}

void copy_box(void* target, const CUtensorMap* map, uint64_t* barrier, const int (&at)[4]) {
  const auto& words = reinterpret_cast<const TensorMapWords&>(*map);
  if (words.mark != TensorMapWords::kMark) fail("a copy without a tensor map");
  const uint32_t base = address_of(target);
  if (base % 128 != 0) fail("a box that does not land on 128 bytes");
  BulkCopy copy{{}, {}, barrier, dynamic_shared()};
  uint32_t place = base;
  for (uint32_t head = 0; head < words.box[3]; head++)
    for (uint32_t chunk = 0; chunk < words.box[2]; chunk++)
      for (uint32_t token = 0; token < words.box[1]; token++)
        for (uint32_t column = 0; column < words.box[0]; column += 8, place += 16) {
          const int64_t c[4] = {at[0] + int64_t{column}, at[1] + int64_t{token}, at[2] + int64_t{chunk}, at[3] + int64_t{head}};
          char piece[16] = {};
          bool inside = true;
          for (int i = 0; i < 4; i++) inside &= c[i] >= 0 && c[i] < static_cast<int64_t>(words.dims[i]);
          if (inside)
            std::memcpy(piece, words.data + 2 * c[0] + c[1] * words.strides[0] + c[2] * words.strides[1] + c[3] * words.strides[2], 16);
          copy.bytes.insert(copy.bytes.end(), piece, piece + 16);
          copy.places.push_back(swizzled(place));
        }
  note(Event::kCopy, barrier, static_cast<int>(copy.bytes.size()), base);
  fly(std::move(copy));
}
void copy_bytes(void* target, const void* source, int bytes, uint64_t* barrier) {
  const uint32_t base = address_of(target);
  if (base % 16 != 0 || bytes % 16 != 0 || reinterpret_cast<uintptr_t>(source) % 16 != 0) fail("a bulk copy off 16 bytes");
  BulkCopy copy{{}, {}, barrier, dynamic_shared()};
  copy.bytes.assign(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
  for (int i = 0; i < bytes; i += 16) copy.places.push_back(base + i);
  note(Event::kCopy, barrier, bytes, base);
  fly(std::move(copy));
}

void issue_product(const GroupProduct& mine) {
  GroupProduct own = mine;
  if (recorder) {
    if (!mine.words) recorder->push_back({Event::kRead, thread(), static_cast<uint32_t>((mine.a & 0x3fff) << 4), 0, 0});
    recorder->push_back({Event::kRead, thread(), static_cast<uint32_t>((mine.b & 0x3fff) << 4), 0, 0});
  }
  meet(~0u, &own, [](void* const(&of)[32]) {
    WarpProducts::Product product;
    for (int i = 0; i < 32; i++) {
      if (!of[i]) fail("a product without all lanes of a warp");
      product.of[i] = *static_cast<const GroupProduct*>(of[i]);
      const GroupProduct &own = product.of[i], &first = product.of[0];
      if (own.a != first.a || own.b != first.b || own.length != first.length) fail("lanes differ in a product's operands");
    }
    WarpProducts& warp = own_warp();
    warp.issued++;
    if (state.late)
      warp.open.push_back(product);
    else
      multiply(product, thread() / 32);
  });
}
void commit_products() {
  note(Event::kCommit, dynamic_shared(), 0);
  once_a_warp([] {
    WarpProducts& warp = own_warp();
    warp.groups.push_back(std::move(warp.open));
    warp.open.clear();
  });
}
void wait_products(int pending) {
  note(Event::kRetire, dynamic_shared(), pending);
  once_a_warp([=] {
    WarpProducts& warp = own_warp();
    while (static_cast<int>(warp.groups.size()) > pending) retire(warp);
  });
}

}  // namespace winnow::emulate
