#ifndef WINNOW_CUDA_DEVICE_H
#define WINNOW_CUDA_DEVICE_H

#include "status.h"

typedef struct WnDeviceInfo {
  int32_t device_count;
  int32_t compute_major, compute_minor;
  int32_t num_multiprocessors;
  int32_t driver_version, runtime_version;  ///< as CUDA reports them, 13000 = 13.0
  int32_t driver_error;                     ///< what cudaGetDeviceCount returned: 35 = no usable driver
  int64_t l2_bytes;
  int64_t memory_bytes;
  char name[128];
} WnDeviceInfo;

/// What device `index` is; without a driver fills `driver_error` and returns WN_NO_DRIVER (data, not a failure).
///
/// Shapes    info  host pointer, one struct, overwritten
/// Limits    index in [0, device_count)
/// Cost      a few driver calls; does not create a context
/// Returns   Status with code and message; never throws, prints or exits
WN_API WnStatus wn_device_info(int32_t index, WnDeviceInfo* info);

#endif
