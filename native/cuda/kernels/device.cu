#include "winnow_cuda/device.h"

#include <cudaTypedefs.h>

#include <atomic>
#include <cstring>

#include "device.cuh"
#include "tensor_map.h"

namespace winnow {

namespace {

struct MapShape {
  cuuint64_t dims[4], strides[3];
  cuuint32_t box[4];
};
/// The driver's symbol is looked up at run time, so that the library loads where there is no driver.
WnStatus encode_map(const void* data, const MapShape& shape, CUtensorMap* map) {
  static std::atomic<PFN_cuTensorMapEncodeTiled_v12000> known{nullptr};
  PFN_cuTensorMapEncodeTiled_v12000 encode = known;
  if (!encode) {
    void* symbol = nullptr;
    cudaDriverEntryPointQueryResult found;
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &symbol, 12000, cudaEnableDefault, &found);
    if (error != cudaSuccess) return cuda_status(error, "cudaGetDriverEntryPointByVersion");
    if (found != cudaDriverEntryPointSuccess) return make_status(WN_UNSUPPORTED, "driver lacks cuTensorMapEncodeTiled");
    known = encode = reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(symbol);
  }
  const cuuint32_t steps[4] = {1, 1, 1, 1};
  const CUresult result =
      encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, const_cast<void*>(data), shape.dims, shape.strides, shape.box, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result == CUDA_SUCCESS) return ok();
  WnStatus status = make_status(WN_CUDA, "");
  std::snprintf(status.message, sizeof(status.message), "cuTensorMapEncodeTiled: error %d", int(result));
  return status;
}

}  // namespace

WnStatus make_tensor_map(const TensorMapParams& params, CUtensorMap* map) {
  const auto size = [](int64_t count) { return static_cast<cuuint64_t>(count); };
  return encode_map(params.data,
                    {{64, size(params.tokens), size(params.head_dim / 64), size(params.heads)},
                     {size(params.token_stride) * 2, 128, size(params.head_stride) * 2},
                     {64, static_cast<cuuint32_t>(params.box_tokens), static_cast<cuuint32_t>(params.box_chunks), 1}},
                    map);
}

WnStatus make_matrix_map(const MatrixMapParams& params, CUtensorMap* map) {
  const auto rows = static_cast<cuuint64_t>(params.rows), cols = static_cast<cuuint64_t>(params.cols);
  return encode_map(params.data,
                    {{cols, rows, 1, 1}, {cols * 2, rows * cols * 2, rows * cols * 2}, {64, static_cast<cuuint32_t>(params.box_rows), 1, 1}}, map);
}

}  // namespace winnow

WnStatus wn_device_info(int32_t index, WnDeviceInfo* info) {
  using namespace winnow;
  if (!info) return make_status(WN_INVALID, "device_info: info is null");
  *info = WnDeviceInfo{};
  int count = 0, driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  info->driver_version = driver;
  info->runtime_version = runtime;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  info->driver_error = static_cast<int32_t>(error);
  if (error != cudaSuccess) return cuda_status(error, "cudaGetDeviceCount");
  info->device_count = count;
  if (index < 0 || index >= count) return make_status(WN_INVALID, "device_info: index out of range");
  cudaDeviceProp properties;
  const cudaError_t read = cudaGetDeviceProperties(&properties, index);
  if (read != cudaSuccess) return cuda_status(read, "cudaGetDeviceProperties");
  info->compute_major = properties.major;
  info->compute_minor = properties.minor;
  info->num_multiprocessors = properties.multiProcessorCount;
  info->l2_bytes = properties.l2CacheSize;
  info->memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  std::strncpy(info->name, properties.name, sizeof(info->name) - 1);
  return ok();
}
