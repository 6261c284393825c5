#include "pool.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "tensor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace winnow {

namespace {

inline void Relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Longer than the gap between two ops of a decode step, shorter than anything a user notices as load.
constexpr int64_t kSpinNs = 50'000;

}  // namespace

/// One region at a time. `ticket` is (epoch << 32 | next chunk): a late worker that still holds an old epoch fails its
/// claim, so the task fields may be overwritten while it looks at them.
struct Pool::Shared {
  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<int64_t> finished{0};
  alignas(64) std::atomic<uint32_t> epoch{0};
  std::atomic<int> parked{0};
  std::atomic<int> active{0};  ///< workers with an index below this take part
  alignas(64) std::atomic<Task> task{nullptr};
  std::atomic<void*> argument{nullptr};
  std::atomic<int64_t> chunks{0};
  std::atomic<bool> busy{false};
  int started = 0;

  /// Claims and runs chunks of `mine` until none is left.
  void Work(uint32_t mine) {
    Task run = task.load(std::memory_order_relaxed);
    void* with = argument.load(std::memory_order_relaxed);
    int64_t total = chunks.load(std::memory_order_relaxed);
    uint64_t seen = ticket.load(std::memory_order_acquire);
    while (static_cast<uint32_t>(seen >> 32) == mine) {
      int64_t next = static_cast<int64_t>(seen & 0xffffffffu);
      if (next >= total) return;
      if (!ticket.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
      run(with, next);
      finished.fetch_add(1, std::memory_order_release);
      seen = ticket.load(std::memory_order_acquire);
    }
  }

  void Worker(int index) {
    uint32_t seen = 0;
    for (;;) {
      uint32_t now = epoch.load(std::memory_order_acquire);
      if (now == seen) {
        int64_t until = NowNs() + kSpinNs;
        do {
          for (int i = 0; i < 64 && now == seen; i++) {
            Relax();
            now = epoch.load(std::memory_order_acquire);
          }
        } while (now == seen && NowNs() < until);
        if (now == seen) {
          parked.fetch_add(1);
          epoch.wait(seen);
          parked.fetch_sub(1);
          continue;
        }
      }
      seen = now;
      if (index < active.load(std::memory_order_relaxed)) Work(now);
    }
  }
};

Pool& Pool::Instance() {
  static Pool pool;
  return pool;
}

void Pool::SetThreads(int threads) {
  threads_ = threads < 1 ? 1 : threads;
  if (threads_ == 1) return;
  if (shared_ == nullptr) shared_ = new Shared();
  shared_->active.store(threads_);
  for (; shared_->started < threads_ - 1; shared_->started++) {
    std::thread([shared = shared_, index = shared_->started + 1] { shared->Worker(index); }).detach();
  }
}

void Pool::Run(Task task, void* argument, int64_t chunks) {
  Shared& s = *shared_;
  if (s.busy.exchange(true, std::memory_order_acquire)) {  // another environment's region, or a nested call
    for (int64_t i = 0; i < chunks; i++) task(argument, i);
    return;
  }
  uint32_t mine = s.epoch.load(std::memory_order_relaxed) + 1;
  s.task.store(task, std::memory_order_relaxed);
  s.argument.store(argument, std::memory_order_relaxed);
  s.chunks.store(chunks, std::memory_order_relaxed);
  s.finished.store(0, std::memory_order_relaxed);
  s.ticket.store(static_cast<uint64_t>(mine) << 32, std::memory_order_release);
  s.epoch.store(mine, std::memory_order_seq_cst);
  if (s.parked.load(std::memory_order_seq_cst) > 0) s.epoch.notify_all();
  s.Work(mine);
  // Only chunks that others claimed are missing now; give the core away if one of those threads lost its own.
  for (int spins = 0; s.finished.load(std::memory_order_acquire) < chunks; spins++) {
    if (spins < 4000) {
      Relax();
    } else {
      std::this_thread::yield();
    }
  }
  s.busy.store(false, std::memory_order_release);
}

void* Pool::Scratch(int slot, size_t bytes) {
  struct Buffer {
    AlignedBytes data;
    size_t size = 0;
  };
  static thread_local Buffer buffers[4];
  Buffer& b = buffers[slot];
  if (b.size < bytes) {
    b.data = AllocateAligned(bytes);
    b.size = b.data == nullptr ? 0 : bytes;
  }
  return b.data.get();
}

}  // namespace winnow
