#include <algorithm>
#include <thread>

#include "../../kernels/pool.h"
#include "../engine/device_state.h"
#include "backend.h"

namespace winnow::gpu {

namespace {

void Set(Call& call, napi_value object, const char* key, napi_value value) { napi_set_named_property(call.env, object, key, value); }

napi_value UseErrorClass(Call& call) {
  if (call.count != 1) call.Refuse("errorClass", "one class", std::to_string(call.count) + " arguments");
  if (call.runtime.error_class != nullptr) napi_delete_reference(call.env, call.runtime.error_class);
  napi_create_reference(call.env, call.arguments[0], 1, &call.runtime.error_class);
  return call.Nothing();
}

/// What `machine` says of the processor of the host; the instruction set means nothing here.
napi_value CpuFacts(Call& call) {
  napi_value facts, isas;
  napi_create_object(call.env, &facts);
  napi_create_array_with_length(call.env, 1, &isas);
  napi_set_element(call.env, isas, 0, call.Text("scalar"));
  Set(call, facts, "isas", isas);
  Set(call, facts, "model", call.Text(DeviceOf(call).facts().name));
  Set(call, facts, "cores", call.Value(std::max(1u, std::thread::hardware_concurrency())));
  return facts;
}

std::string Version(int version) {  // CUDA writes 13.0 as 13000
  return version == 0 ? "" : std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

napi_value DeviceFactsCall(Call& call) {
  const DeviceFacts& f = DeviceOf(call).facts();
  napi_value facts;
  napi_create_object(call.env, &facts);
  Set(call, facts, "name", call.Text(f.name));
  Set(call, facts, "architecture",
      call.Text(f.is_host ? "host" : "sm_" + std::to_string(f.compute_major) + std::to_string(f.compute_minor)));
  Set(call, facts, "driver", call.Text(Version(f.driver_version)));
  Set(call, facts, "runtime", call.Text(Version(f.runtime_version)));
  Set(call, facts, "memoryBytes", call.Value(static_cast<double>(f.memory_bytes)));
  Set(call, facts, "l2Bytes", call.Value(static_cast<double>(f.l2_bytes)));
  Set(call, facts, "multiprocessors", call.Value(f.num_multiprocessors));
  return facts;
}

napi_value DeviceStateCall(Call& call) {
  static const DeviceMonitor monitor(DeviceOf(call).facts().pci_bus_id);
  const DeviceState state = monitor.Read();
  napi_value values;
  napi_create_object(call.env, &values);
  auto set = [&](const char* key, const std::optional<double>& value) {
    if (value) Set(call, values, key, call.Value(*value));
  };
  set("smClockMhz", state.sm_clock_mhz);
  set("memoryClockMhz", state.memory_clock_mhz);
  set("temperatureCelsius", state.temperature_celsius);
  set("powerWatts", state.power_watts);
  return values;
}

napi_value DeviceMeters(Call& call) {
  const DeviceCounters& counters = DeviceOf(call).counters();
  napi_value meters;
  napi_create_object(call.env, &meters);
  Set(call, meters, "peakBytes", call.Value(static_cast<double>(counters.peak_bytes)));
  Set(call, meters, "bytes", call.Value(static_cast<double>(counters.bytes)));
  Set(call, meters, "hostReads", call.Value(static_cast<double>(counters.host_reads)));
  Set(call, meters, "graphLaunches", call.Value(static_cast<double>(counters.graph_launches)));
  return meters;
}

napi_value ResetDeviceMeters(Call& call) {
  DeviceOf(call).ResetCounters();
  return call.Nothing();
}

napi_value StepGraphsCall(Call& call) {
  call.Check(DeviceOf(call).SetHeadStart(call.Int(0, "megabytes", -1, 1 << 20)));
  return call.Nothing();
}

napi_value CopyBandwidth(Call& call) {
  double rate = 0;
  call.Check(DeviceOf(call).CopyBandwidth(&rate));
  return call.Value(rate);
}

napi_value Configure(Call& call) {
  const std::string numerics = call.String(1, "numerics");
  if (numerics != "native" && numerics != "reference") call.Refuse("numerics", "native or reference", numerics);
  if (numerics == "reference") {
    call.Check(Status::Fail(Code::kUnsupported, "configure.numerics", "native numerics on cuda", numerics,
                            "Use --backend cpu for reference numerics."));
  }
  Pool::Instance().SetThreads(static_cast<int>(call.Int(2, "threads", 1, 1024)));
  return call.Text("bf16");
}

napi_value Memory(Call& call) {
  const MemoryCounters& m = call.runtime.memory;
  napi_value facts;
  napi_create_object(call.env, &facts);
  Set(call, facts, "tensorBytes", call.Value(static_cast<double>(m.tensor_bytes)));
  Set(call, facts, "tensorPeakBytes", call.Value(static_cast<double>(m.tensor_peak_bytes)));
  Set(call, facts, "weightBytes", call.Value(static_cast<double>(EngineOf(call).weights.bytes())));
  Set(call, facts, "cacheBytes", call.Value(static_cast<double>(m.cache_bytes)));
  return facts;
}

napi_value Synchronise(Call& call) {
  call.Check(DeviceOf(call).Synchronise());
  return call.Nothing();
}

napi_value NativeNanoseconds(Call& call) { return call.Value(static_cast<double>(call.runtime.native_nanoseconds)); }

const Binding binding([](napi_env env, napi_value exports, Runtime& runtime) {
  Register(env, exports, runtime,
           {{"useErrorClass", UseErrorClass},
            {"cpuFacts", CpuFacts},
            {"deviceFacts", DeviceFactsCall},
            {"deviceState", DeviceStateCall},
            {"deviceMeters", DeviceMeters},
            {"resetDeviceMeters", ResetDeviceMeters},
            {"stepGraphs", StepGraphsCall},
            {"deviceCopyBandwidth", CopyBandwidth},
            {"configure", Configure},
            {"memory", Memory},
            {"synchronise", Synchronise},
            {"nativeNanoseconds", NativeNanoseconds}});
});

}  // namespace

}  // namespace winnow::gpu
