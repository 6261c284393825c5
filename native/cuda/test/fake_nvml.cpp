/// Stands in for libnvidia-ml.so.1: one device at the address "host". WITHOUT_POWER leaves a function out, FAILING_TEMPERATURE
/// has one answer with an error, FAILING_INIT lets nothing start.
extern "C" {
int nvmlInit_v2() {
#ifdef FAILING_INIT
  return 9;
#else
  return 0;
#endif
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* address, void** device) {
  static int only = 7;
  for (const char* want = "host"; *want || *address; want++, address++)
    if (*want != *address) return 6;
  *device = &only;
  return 0;
}
int nvmlDeviceGetClockInfo(void* device, unsigned kind, unsigned* value) {
  if (*static_cast<int*>(device) != 7 || kind < 1 || kind > 2) return 2;
  *value = kind == 1 ? 1980 : 2619;
  return 0;
}
int nvmlDeviceGetTemperature(void* device, unsigned sensor, unsigned* value) {
#ifdef FAILING_TEMPERATURE
  return 3;
#else
  if (*static_cast<int*>(device) != 7 || sensor != 0) return 2;
  *value = 41;
  return 0;
#endif
}
#ifndef WITHOUT_POWER
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (*static_cast<int*>(device) != 7) return 2;
  *milliwatts = 118250;
  return 0;
}
#endif
}
