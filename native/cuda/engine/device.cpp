#include "device.h"

namespace winnow::gpu {

Status FromWn(const WnStatus& status, const char* op) {
  switch (status.code) {
    case WN_OK: return {};
    case WN_INVALID: return Status::Shape(op, "sizes that the CUDA op takes", status.message);
    case WN_UNSUPPORTED:
      return Status::Fail(Code::kUnsupported, op, "sizes that the CUDA backend has", status.message, "Use --backend cpu.");
    case WN_NO_DRIVER: return Status::Fail(Code::kUnsupported, op, "a CUDA driver and device", status.message, "Use --backend cpu.");
    default: return Status::Fail(Code::kInternal, op, "no CUDA error", status.message);
  }
}

Status Buffer::Need(size_t bytes) {
  if (bytes <= bytes_) return {};
  Drop();
  const size_t rounded = (bytes + bytes / 4 + 255) / 256 * 256;
  data_ = device_->Allocate(rounded);
  if (data_ == nullptr) {
    return Status::Fail(Code::kOutOfMemory, "cuda", std::to_string(rounded) + " bytes of device memory", "none",
                        "Use a shorter context or fewer forks.");
  }
  bytes_ = rounded;
  device_->Zero(data_, rounded);
  return {};
}

void Buffer::Drop() {
  if (data_ != nullptr) device_->Free(data_, bytes_);
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace winnow::gpu
