/// Parity of every operation with its reference: winnow_cuda_test [--filter TEXT] [--op NAME] [--jobs N] [--timeout SECONDS]
///     [--small KIB] [--in-process] [--per-op N] [--list]
///
/// One JSON line per case and a final count; exit code 1 on any failure. Without a driver the only line says so and the
/// exit code is 0. Cases run in child processes, because a fault or a hang spoils the device for the process that had it:
/// a child that dies or stays silent costs the case it was on, and a new one goes on behind it.
///
/// For the sanitizer, which slows a case a hundredfold: `--small` passes over cases that hold more than so much device
/// memory (status "large"), `--per-op` ends after N cases of each operation, drawn from its table in a fixed shuffled
/// order, and `--in-process` makes no children. `--list` names cases and runs none.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "support.h"

extern char** environ;

namespace winnow::test {
namespace {

struct Options {
  std::string filter, op;
  int jobs = 1, timeout_seconds = 20, child_begin = -1, child_end = -1, small_kib = 0, per_op = 0;
  bool in_process = false, list = false;
};

void print_line(const Case& c, const Outcome& outcome, double ms) {
  auto number = [](double x) {
    char text[32];
    std::snprintf(text, sizeof(text), std::isfinite(x) ? "%.3g" : "null", x);
    return std::string(text);
  };
  std::printf("{\"op\":\"%s\",\"case\":\"%s\",\"status\":\"%s\",\"error\":%s,\"bound\":%s,\"lseError\":%s,\"ms\":%.1f,\"detail\":\"%s\"}\n",
              c.op.c_str(), c.name.c_str(), outcome.status.c_str(), number(outcome.error).c_str(),
              number(outcome.bound).c_str(), number(outcome.lse_error).c_str(), ms, outcome.detail.c_str());
  std::fflush(stdout);
}

Outcome run_case(const Case& c) {
  const auto begin = std::chrono::steady_clock::now();
  Outcome outcome;
  try {
    c.run(outcome);
  } catch (const CaseTooLarge&) {
    outcome.status = "large";
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  print_line(c, outcome, took.count());
  return outcome;
}

int run_child(const Cases& cases, const Options& options) {
  for (int i = options.child_begin; i < options.child_end; i++) {
    // A sticky error would fail every later case of this process.
    if (run_case(cases[i]).status == "failed") return 1;
  }
  return 0;
}

int print_summary(const std::map<std::string, int>& counts) {
  std::printf("{\"summary\":{");
  const char* comma = "";
  int bad = 0;
  for (auto& [status, count] : counts) {
    std::printf("%s\"%s\":%d", comma, status.c_str(), count);
    comma = ",";
    if (status == "failed" || status == "incorrect") bad += count;
  }
  std::printf("}}\n");
  return bad ? 1 : 0;
}

int run_in_process(Cases cases, const Options& options) {
  if (options.per_op > 0)
    std::stable_sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) {
      auto place = [](const Case& c) {
        uint32_t hash = 0;
        for (const char letter : c.name) hash = hash_word(hash, static_cast<unsigned char>(letter));
        return hash;
      };
      return a.op != b.op ? a.op < b.op : place(a) < place(b);
    });
  std::map<std::string, int> counts, ran;
  for (const Case& c : cases) {
    if (options.per_op > 0 && ran[c.op] >= options.per_op) continue;
    const std::string status = run_case(c).status;
    counts[status]++;
    if (status == "ok" || status == "incorrect") ran[c.op]++;
    if (status == "failed") break;
  }
  return print_summary(counts);
}

struct Child {
  pid_t pid = 0;
  int out = -1, begin = 0, end = 0;
  std::string pending;
  std::chrono::steady_clock::time_point heard;
};

class Parent {
 public:
  Parent(const char* program, const Cases& cases, const Options& options)
      : program_(program), cases_(cases), options_(options) {}

  int run() {
    const int total = static_cast<int>(cases_.size());
    // Short slices keep all workers busy to the end; interleaved by size would be better still.
    const int slice = std::max(1, std::min(24, total / (2 * options_.jobs) + 1));
    for (int begin = 0; begin < total; begin += slice) queue_.push_back({begin, std::min(begin + slice, total)});
    size_t next = 0;
    while (next < queue_.size() || !children_.empty()) {
      while (next < queue_.size() && static_cast<int>(children_.size()) < options_.jobs) start(queue_[next++]);
      listen();
    }
    return print_summary(counts_);
  }

 private:
  void start(std::pair<int, int> range) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC)) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
    const std::string begin = std::to_string(range.first), end = std::to_string(range.second);
    const std::string small = std::to_string(options_.small_kib);
    const char* arguments[] = {program_,  "--filter",    options_.filter.c_str(), "--op",      options_.op.c_str(),
                               "--small", small.c_str(), "--child",               begin.c_str(), end.c_str(), nullptr};
    Child child;
    posix_spawn(&child.pid, program_, &actions, nullptr, const_cast<char**>(arguments), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    child.out = pipe_ends[0];
    child.begin = range.first;
    child.end = range.second;
    child.heard = std::chrono::steady_clock::now();
    children_.push_back(child);
  }
  void listen() {
    std::vector<pollfd> waits;
    for (auto& child : children_) waits.push_back({child.out, POLLIN, 0});
    poll(waits.data(), waits.size(), 200);
    for (size_t i = children_.size(); i-- > 0;) {
      Child& child = children_[i];
      bool ended = false;
      if (waits[i].revents) {
        char buffer[65536];
        const ssize_t got = read(child.out, buffer, sizeof(buffer));
        if (got > 0) {
          child.pending.append(buffer, got);
          child.heard = std::chrono::steady_clock::now();
          take_lines(child);
        } else {
          ended = true;
        }
      }
      const bool silent = std::chrono::steady_clock::now() - child.heard > std::chrono::seconds(options_.timeout_seconds);
      if (!ended && !silent) continue;
      if (silent) kill(child.pid, SIGKILL);
      int status = 0;
      waitpid(child.pid, &status, 0);
      close(child.out);
      finish(child, silent, status);
      children_.erase(children_.begin() + static_cast<long>(i));
    }
  }
  void take_lines(Child& child) {
    for (size_t end; (end = child.pending.find('\n')) != std::string::npos; child.pending.erase(0, end + 1)) {
      const std::string line = child.pending.substr(0, end);
      if (line.rfind("{\"op\"", 0) != 0) continue;
      std::printf("%s\n", line.c_str());
      std::fflush(stdout);
      for (const char* status : {"ok", "incorrect", "failed", "unsupported", "large"})
        if (line.find("\"status\":\"" + std::string(status) + "\"") != std::string::npos) counts_[status]++;
      child.begin++;
    }
  }
  void finish(Child& child, bool silent, int status) {
    if (child.begin >= child.end) return;
    const bool told = WIFEXITED(status) && WEXITSTATUS(status) == 1 && !silent;
    if (!told) {
      Outcome outcome;
      outcome.fail(silent ? "no answer before the timeout" : "process ended, status " + std::to_string(status));
      print_line(cases_[child.begin++], outcome, 0);
      counts_["failed"]++;
    }
    if (child.begin < child.end) queue_.push_back({child.begin, child.end});
  }

  const char* program_;
  const Cases& cases_;
  const Options& options_;
  std::vector<std::pair<int, int>> queue_;
  std::vector<Child> children_;
  std::map<std::string, int> counts_;
};

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string flag = argv[i];
    if (flag == "--filter" && i + 1 < argc) options.filter = argv[++i];
    else if (flag == "--jobs" && i + 1 < argc) options.jobs = std::max(1, std::atoi(argv[++i]));
    else if (flag == "--timeout" && i + 1 < argc) options.timeout_seconds = std::atoi(argv[++i]);
    else if (flag == "--op" && i + 1 < argc) options.op = argv[++i];
    else if (flag == "--small" && i + 1 < argc) options.small_kib = std::atoi(argv[++i]);
    else if (flag == "--per-op" && i + 1 < argc) options.per_op = std::atoi(argv[++i]);
    else if (flag == "--in-process") options.in_process = true;
    else if (flag == "--list") options.list = true;
    else if (flag == "--child" && i + 2 < argc) {
      options.child_begin = std::atoi(argv[++i]);
      options.child_end = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "winnow_cuda_test: unknown argument %s\n", argv[i]);
      return 2;
    }
  }
  Cases all, cases;
  add_cache_cases(all);
  add_layer_cases(all);
  add_linear_cases(all);
  add_list_cases(all);
  add_score_cases(all);
  add_decode_cases(all);
  add_packed_cases(all);
  add_prefill_cases(all);
  add_any_cases(all);
  add_cluster_cases(all);
  add_sets_cases(all);
  add_column_cases(all);
  add_edit_cases(all);
  add_slot_score_cases(all);
  for (auto& c : all)
    if ((options.op.empty() || options.op == c.op) && (c.op + " " + c.name).find(options.filter) != std::string::npos)
      cases.push_back(c);
  memory_limit = static_cast<size_t>(options.small_kib) << 10;
  if (options.list) {
    for (auto& c : cases) std::printf("{\"op\":\"%s\",\"case\":\"%s\"}\n", c.op.c_str(), c.name.c_str());
    return 0;
  }
  if (options.child_begin >= 0) return run_child(cases, options);

  WnDeviceInfo info;
  const WnStatus status = wn_device_info(0, &info);
  if (status.code == WN_NO_DRIVER) {
    std::printf("{\"status\":\"no-driver\",\"cases\":%zu,\"driverError\":%d,\"runtimeVersion\":%d}\n", cases.size(),
                info.driver_error, info.runtime_version);
    return 0;
  }
  if (status.code != WN_OK) {
    std::printf("{\"status\":\"failed\",\"detail\":\"%s\"}\n", status.message);
    return 1;
  }
  std::printf("{\"device\":\"%s\",\"computeCapability\":\"%d.%d\",\"driverVersion\":%d,\"cases\":%zu}\n", info.name,
              info.compute_major, info.compute_minor, info.driver_version, cases.size());
  std::fflush(stdout);
  if (options.in_process) return run_in_process(cases, options);
  return Parent("/proc/self/exe", cases, options).run();
}

}  // namespace
}  // namespace winnow::test

int main(int argc, char** argv) { return winnow::test::run(argc, argv); }
