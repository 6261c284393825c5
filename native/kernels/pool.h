#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace winnow {

/// The one thread pool of the process: spin about 50 us after work, then park.
///
/// Work is claimed in chunks from a counter, and the caller takes part. The caller never waits for a thread that has not
/// claimed a chunk, so a second core that is busy elsewhere costs at most one chunk, never a whole share.
/// Bits may depend neither on the number of threads nor on who claims what: give each chunk its own outputs.
class Pool {
 public:
  static Pool& Instance();

  /// Threads that take part from now on, the caller included; workers are started on first need.
  void SetThreads(int threads);
  int threads() const { return threads_; }

  /// fn(chunk) for every chunk in [0, chunks); returns when all are done. A call from inside a chunk runs serially.
  template <class F>
  void ParallelFor(int64_t chunks, F&& fn) {
    if (chunks <= 0) return;
    if (threads_ == 1 || chunks == 1) {
      for (int64_t i = 0; i < chunks; i++) fn(i);
      return;
    }
    using Fn = std::remove_reference_t<F>;
    Run([](void* f, int64_t chunk) { (*static_cast<Fn*>(f))(chunk); },
        const_cast<void*>(static_cast<const void*>(&fn)), chunks);
  }

  /// fn(begin, end) over [0, n) in ranges of at least `grain` items, about `per_thread` ranges a thread.
  /// Use for cheap rows: one range (no hand-over at all) when n <= grain.
  template <class F>
  void ParallelRanges(int64_t n, int64_t grain, F&& fn, int per_thread = 2) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    int64_t chunks = n / grain, most = static_cast<int64_t>(threads_) * per_thread;
    if (chunks > most) chunks = most;
    if (chunks < 1 || threads_ == 1) chunks = 1;
    ParallelFor(chunks, [&](int64_t c) { fn(n * c / chunks, n * (c + 1) / chunks); });
  }

  /// Scratch of the calling thread, 64-byte aligned, uninitialised, kept and grown between calls; null when memory is out.
  /// `slot` (0 to 3) names independent buffers of one kernel; contents survive only within one chunk.
  static void* Scratch(int slot, size_t bytes);

 private:
  Pool() = default;
  using Task = void (*)(void* argument, int64_t chunk);
  void Run(Task task, void* argument, int64_t chunks);

  int threads_ = 1;
  struct Shared;
  Shared* shared_ = nullptr;  ///< leaked on purpose: workers may outlive every destructor at exit
};

}  // namespace winnow
