#include "device_state.h"

#include <dlfcn.h>

namespace winnow::gpu {

namespace {

// Of nvml.h, which no package of ours brings: every function returns 0 for success.
constexpr unsigned kSmClock = 1, kMemoryClock = 2, kGpuSensor = 0;
using Simple = int (*)();
using Find = int (*)(const char* pci_bus_id, void** device);
using ReadValue = int (*)(void* device, unsigned* value);
using ReadKind = int (*)(void* device, unsigned kind, unsigned* value);

template <class F>
F Symbol(void* library, const char* name) {
  return library == nullptr ? nullptr : reinterpret_cast<F>(dlsym(library, name));
}

std::optional<double> ValueOf(void* library, const char* name, void* device, unsigned kind) {
  const auto read = Symbol<ReadKind>(library, name);
  unsigned value = 0;
  if (read == nullptr || read(device, kind, &value) != 0) return {};
  return value;
}

}  // namespace

DeviceMonitor::DeviceMonitor(const std::string& pci_bus_id) : library_(dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL)) {
  const auto init = Symbol<Simple>(library_, "nvmlInit_v2");
  const auto find = Symbol<Find>(library_, "nvmlDeviceGetHandleByPciBusId_v2");
  if (init == nullptr || find == nullptr || init() != 0 || find(pci_bus_id.c_str(), &device_) != 0) device_ = nullptr;
}

DeviceState DeviceMonitor::Read() const {
  DeviceState state;
  if (device_ == nullptr) return state;
  state.sm_clock_mhz = ValueOf(library_, "nvmlDeviceGetClockInfo", device_, kSmClock);
  state.memory_clock_mhz = ValueOf(library_, "nvmlDeviceGetClockInfo", device_, kMemoryClock);
  state.temperature_celsius = ValueOf(library_, "nvmlDeviceGetTemperature", device_, kGpuSensor);
  const auto power = Symbol<ReadValue>(library_, "nvmlDeviceGetPowerUsage");
  unsigned milliwatts = 0;
  if (power != nullptr && power(device_, &milliwatts) == 0) state.power_watts = milliwatts / 1000.0;
  return state;
}

}  // namespace winnow::gpu
