#pragma once

#include <optional>
#include <string>

/// What NVIDIA's management library says of a device at a moment. The library comes with the driver and is looked up at run
/// time; where it or one of its values is missing, the value is absent, which is no error.
namespace winnow::gpu {

struct DeviceState {
  std::optional<double> sm_clock_mhz, memory_clock_mhz, temperature_celsius, power_watts;
};

/// One for the life of the process: the library stays open.
class DeviceMonitor {
 public:
  /// `pci_bus_id` as CUDA tells it, such as "0000:1b:00.0": indices of the two libraries differ where devices are hidden.
  explicit DeviceMonitor(const std::string& pci_bus_id);
  DeviceState Read() const;

 private:
  void* library_ = nullptr;
  void* device_ = nullptr;  ///< the library's own handle
};

}  // namespace winnow::gpu
