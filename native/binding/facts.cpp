#include <algorithm>
#include <fstream>
#include <thread>

#include "../bench/peak.h"
#include "../kernels/pool.h"
#include "../test/parity.h"
#include "call.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace winnow {

namespace {

std::string CpuModel() {
#if defined(__linux__)
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
#endif
  return "unknown";
}

/// Cores this process may use, which in a container is fewer than the machine has.
int Cores() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

void Set(Call& call, napi_value object, const char* key, napi_value value) {
  napi_set_named_property(call.env, object, key, value);
}

napi_value Strings(Call& call, const std::vector<std::string>& items) {
  napi_value array;
  napi_create_array_with_length(call.env, items.size(), &array);
  for (size_t i = 0; i < items.size(); i++) napi_set_element(call.env, array, static_cast<uint32_t>(i), call.Text(items[i]));
  return array;
}

napi_value UseErrorClass(Call& call) {
  if (call.count != 1) call.Refuse("errorClass", "one class", std::to_string(call.count) + " arguments");
  if (call.runtime.error_class != nullptr) napi_delete_reference(call.env, call.runtime.error_class);
  napi_create_reference(call.env, call.arguments[0], 1, &call.runtime.error_class);
  return call.Nothing();
}

napi_value CpuFacts(Call& call) {
  std::vector<std::string> isas;
  for (Isa isa : AvailableIsas()) isas.emplace_back(NameOf(isa));
  napi_value facts;
  napi_create_object(call.env, &facts);
  Set(call, facts, "isas", Strings(call, isas));
  Set(call, facts, "model", call.Text(CpuModel()));
  Set(call, facts, "cores", call.Value(Cores()));
  return facts;
}

napi_value Configure(Call& call) {
  std::string isa_name = call.String(0, "isa"), numerics = call.String(1, "numerics");
  int64_t threads = call.Int(2, "threads", 1, 1024);
  Context next;
  const auto& isas = AvailableIsas();
  if (!IsaFromName(isa_name.c_str(), &next.isa) || std::find(isas.begin(), isas.end(), next.isa) == isas.end()) {
    std::string known;
    for (Isa isa : isas) known += (known.empty() ? "" : ", ") + std::string(NameOf(isa));
    call.Check(Status::Fail(Code::kUnsupported, "configure.isa", "an instruction set of this machine (" + known + ")", isa_name));
  }
  if (numerics != "native" && numerics != "reference") call.Refuse("numerics", "native or reference", numerics);
  next.numerics = numerics == "native" ? Numerics::kNative : Numerics::kReference;
  call.runtime.context = next;
  Pool::Instance().SetThreads(static_cast<int>(threads));
  return call.Text(NameOf(next.act()));
}

napi_value Memory(Call& call) {
  const MemoryCounters& m = call.runtime.memory;
  napi_value facts;
  napi_create_object(call.env, &facts);
  Set(call, facts, "tensorBytes", call.Value(static_cast<double>(m.tensor_bytes)));
  Set(call, facts, "tensorPeakBytes", call.Value(static_cast<double>(m.tensor_peak_bytes)));
  Set(call, facts, "weightBytes", call.Value(static_cast<double>(m.weight_bytes)));
  Set(call, facts, "cacheBytes", call.Value(static_cast<double>(m.cache_bytes)));
  return facts;
}

napi_value NativeNanoseconds(Call& call) { return call.Value(static_cast<double>(call.runtime.native_nanoseconds)); }

napi_value BenchPeak(Call& call) {
  std::string kind = call.String(0, "kind");
  int threads = static_cast<int>(call.Int(1, "threads", 1, 1024));
  double rate = 0;
  call.Check(bench::Peak(call.runtime.context.isa, kind, threads, &rate));
  return call.Value(rate);
}

napi_value BenchReadBandwidth(Call& call) {
  int64_t megabytes = call.Int(0, "megabytes", 1, 1 << 16);
  int threads = static_cast<int>(call.Int(1, "threads", 1, 1024));
  double rate = 0;
  call.Check(bench::ReadBandwidth(call.runtime.context.isa, megabytes, threads, &rate));
  return call.Value(rate);
}

napi_value Parity(Call& call) { return Strings(call, parity::RunSuites(call.String(0, "filter"))); }

}  // namespace

void init_facts(napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"useErrorClass", UseErrorClass},
            {"cpuFacts", CpuFacts},
            {"configure", Configure},
            {"memory", Memory},
            {"nativeNanoseconds", NativeNanoseconds},
            {"benchPeak", BenchPeak},
            {"benchReadBandwidth", BenchReadBandwidth},
            {"parity", Parity}});
}

}  // namespace winnow
